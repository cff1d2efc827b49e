"""Archives of frames classified: catalogue, regions, probability maps, resumed where stopped."""
