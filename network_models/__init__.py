"""Networks, losses, checkpoints and the one training path; one folder per problem."""
