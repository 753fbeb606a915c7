"""From a collection of your own to a published student: what is in it, a recipe, all stages, a dozen lines."""
