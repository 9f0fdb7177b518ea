"""A support vector machine, as an example of a scikit-learn pipeline of one's own."""

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

preparation = {"center": True}


def build():
    return make_pipeline(StandardScaler(), SVC(class_weight="balanced"))
