"""Makes vectors.json: figures of scikit-learn, SciPy and MedPy that the tests compare with.

    pip install scikit-learn scipy medpy && python make.py > vectors.json
"""

import json

import numpy as np
from medpy.metric.binary import dc, hd95, jc, precision, sensitivity, specificity
from scipy.special import softmax
from scipy.stats import binomtest, chi2
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)


def calibration_error(labels, probabilities):
    decisions, sure = probabilities.argmax(1), probabilities.max(1)
    bins = np.clip(np.ceil(sure * 15).astype(int), 1, 15)
    error = 0.0
    for b in range(1, 16):
        inside = bins == b
        if inside.any():
            error += inside.mean() * abs((decisions == labels)[inside].mean() - sure[inside].mean())
    return error


def classifier(labels, scores):
    labels, scores = np.array(labels), np.array(scores, np.float32)
    probabilities = softmax(scores.astype(np.float64), axis=1)
    decisions = scores.argmax(1)
    classes = range(scores.shape[1])
    nan = {"average": None, "labels": list(classes), "zero_division": np.nan}
    matrix = confusion_matrix(labels, decisions, labels=list(classes))
    others = matrix.sum() - matrix.sum(0) - matrix.sum(1) + np.diag(matrix)
    return {
        "labels": labels.tolist(),
        "scores": [[float(s) for s in row] for row in scores],
        "confusion": matrix.tolist(),
        "accuracy": accuracy_score(labels, decisions),
        "calibration_error": calibration_error(labels, probabilities),
        "sensitivity": recall_score(labels, decisions, **nan).tolist(),
        "specificity": (others / (matrix.sum() - matrix.sum(1))).tolist(),
        "precision": [None if np.isnan(p) else p for p in precision_score(labels, decisions, **nan).tolist()],
        "f1": f1_score(labels, decisions, **nan).tolist(),
        "roc_area": [roc_auc_score(labels == c, probabilities[:, c]) for c in classes],
        "average_precision": [average_precision_score(labels == c, probabilities[:, c]) for c in classes],
    }


def quartiles(values):
    return [float(np.mean(values)), *np.percentile(values, [25, 50, 75]).tolist()]


def masks(truth, found):
    shape = truth[0].shape
    of_image = lambda t, f: {
        "truth": t.ravel().astype(int).tolist(),
        "found": f.ravel().astype(int).tolist(),
        "dice": dc(f, t),
        "iou": jc(f, t),
        "sensitivity": sensitivity(f, t),
        "specificity": specificity(f, t),
        # MedPy divides by zero where nothing was found.
        "precision": precision(f, t) if f.any() else None,
        "hausdorff_95": hd95(f, t) if t.any() and f.any() else None,
    }
    images = [of_image(t, f) for t, f in zip(truth, found)]
    t, f = np.concatenate([x.ravel() for x in truth]), np.concatenate([x.ravel() for x in found])
    return {
        "size": list(shape),
        "images": images,
        "pooled": {"dice": dc(f, t), "iou": jc(f, t), "precision": precision(f, t), "accuracy": float((t == f).mean())},
        "dice_mean_and_quartiles": quartiles([i["dice"] for i in images]),
        "hausdorff_95_mean_and_quartiles": quartiles([i["hausdorff_95"] for i in images if i["hausdorff_95"] is not None]),
    }


def mcnemar(b, c):
    statistic = (abs(b - c) - 1) ** 2 / (b + c)
    exact = binomtest(min(b, c), b + c).pvalue
    return {"b": b, "c": c, "exact_p": exact, "chi_squared": statistic, "chi_squared_p": chi2.sf(statistic, 1)}


def blobs(random, h, w):
    y, x = np.mgrid[:h, :w]
    mask = np.zeros((h, w), bool)
    for _ in range(3):
        cy, cx, r = random.uniform(0, h), random.uniform(0, w), random.uniform(2, 6)
        mask |= (y - cy) ** 2 + (x - cx) ** 2 < r * r
    return mask


random = np.random.default_rng(7)
two = random.integers(0, 2, 40)
# Few different scores: many ties, as int8 has them. Differences are exact, so that ties are ties everywhere.
coarse = np.round(random.normal(0, 2, (40, 2)) + 1.5 * np.eye(2)[two]) / 4
three = random.integers(0, 3, 60)
fine = random.normal(0, 1.5, (60, 3)) + 2 * np.eye(3)[three]
# The last class is never decided for.
never = random.normal(0, 1, (30, 3)) + np.array([0, 0, -20])
truth = [blobs(random, 23, 31) for _ in range(6)]
found = [np.roll(t, (i % 3, -i), (0, 1)) ^ (random.uniform(size=t.shape) < 0.02) for i, t in enumerate(truth)]
truth[2][:] = False
truth[2][5, 7] = True
found[4][:] = False

print(
    json.dumps(
        {
            "classifiers": [
                classifier(two, coarse),
                classifier(three, fine),
                classifier(random.integers(0, 3, 30), never),
            ],
            "masks": masks(truth, found),
            "mcnemar": [mcnemar(*bc) for bc in [(1, 0), (3, 9), (7, 7), (40, 22), (900, 1010)]],
        }
    )
)
