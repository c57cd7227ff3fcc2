from brewlog.recipe import Recipe
from brewlog.batch import Batch
