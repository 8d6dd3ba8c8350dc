"""Writes golden.json: inputs, and what scipy, statsmodels and pingouin make of them.

Run: python golden.py > golden.json   (needs numpy scipy statsmodels pingouin mpmath)
The Go tests read golden.json only; this file says where its numbers come from.
"""
import itertools
import json
import math
import sys
import warnings

import mpmath
import numpy as np
import pandas as pd
import pingouin
import scipy
import statsmodels
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

warnings.simplefilter("ignore")
rng = np.random.default_rng(20240607)
pingouin.options["round"] = pingouin.options["round.column.CI95"] = None  # full precision


def lst(a):
    return [float(v) for v in np.asarray(a).ravel()]


def pair_sets():
    x = rng.normal(size=60)
    y = 0.6 * x + rng.normal(size=60)
    big = rng.normal(size=300)
    return {
        "untied_60": (x, y),
        "untied_12": (x[:12], y[:12]),
        "untied_4": ([1, 2, 3, 4], [2, 1, 4, 3]),
        "untied_3": ([1, 2, 3], [1, 3, 2]),
        "ties_40": (rng.integers(0, 6, 40), rng.integers(0, 4, 40)),
        "counts_of_600": (rng.normal(size=40), rng.binomial(600, 0.01, 40)),
        "binary": ([0, 0, 1, 1, 0, 1, 1, 0], [0, 1, 1, 1, 0, 0, 1, 0]),
        "negative": (x, -3 * x + rng.normal(size=60)),
        "strong_300": (big, big + 0.9 * rng.normal(size=300)),
        "shifted": (x * 1e-7 + 5, y * 1e6 - 3e8),
        "one_swap_40": (np.arange(40), np.r_[1, 0, np.arange(2, 40)]),
    }


def correlations():
    out = []
    for name, (x, y) in pair_sets().items():
        x, y = np.asarray(x, float), np.asarray(y, float)
        s, p, k = stats.spearmanr(x, y), stats.pearsonr(x, y), stats.kendalltau(x, y)
        case = {
            "name": name, "x": lst(x), "y": lst(y),
            "spearman": [s.statistic, s.pvalue], "pearson": [p.statistic, p.pvalue],
            "kendall": [k.statistic, k.pvalue], "ranks_y": lst(stats.rankdata(y)),
        }
        if len(x) > 3:
            ci = p.confidence_interval(0.9)
            case["pearson_ci90"] = [ci.low, ci.high]
        out.append(case)
    return out


def partials():
    out = []
    for n, k, tied in [(30, 1, False), (30, 2, True), (25, 3, True), (8, 3, False)]:
        z = rng.normal(size=(n, k))
        x, y = z.sum(1) + rng.normal(size=n), z[:, 0] + rng.normal(size=n)
        if tied:
            x, y, z = np.round(x), np.round(y * 2), np.round(z)
        ranks = [stats.rankdata(c) for c in (x, y, *z.T)]
        frame = pd.DataFrame(np.column_stack(ranks), columns=["x", "y"] + [f"c{i}" for i in range(k)])
        r = pingouin.partial_corr(frame, "x", "y", [f"c{i}" for i in range(k)], method="pearson")
        out.append({"x": lst(x), "y": lst(y), "covariates": [lst(c) for c in z.T],
                    "r": float(r["r"].iloc[0]), "p": float(r[[c for c in r if c.startswith("p")][0]].iloc[0])})
    return out


def permutation_tests():
    out = []
    for x, y in [([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5]), ([3, 1, 4, 1, 5, 9, 2], [2, 7, 1, 8, 2, 8, 1]),
                 ([0.1, 0.7, 0.2, 0.9], [4, 2, 3, 1])]:
        case = {"x": x, "y": y}
        for name, f in [("spearman", stats.spearmanr), ("pearson", stats.pearsonr)]:
            r = abs(f(x, y)[0])
            extreme = [abs(f(x, q)[0]) >= r - 1e-12 for q in itertools.permutations(y)]
            case[name] = float(np.mean(extreme))
        out.append(case)
    return out


def kruskals():
    out = []
    for groups in [[[2.9, 3.0, 2.5, 2.6, 3.2], [3.8, 2.7, 4.0, 2.4], [2.8, 3.4, 3.7, 2.2, 2.0]],
                   [[1, 1, 2], [2, 3, 3, 3], [5, 1]], [[1, 2, 3], [1, 2, 3]],
                   [lst(rng.integers(0, 9, 5)) for _ in range(8)]]:
        r = stats.kruskal(*groups)
        out.append({"groups": groups, "H": r.statistic, "p": r.pvalue})
    return out


def concordances():
    out = []
    for scores in [rng.normal(size=(3, 8)), rng.integers(0, 4, size=(5, 9)), rng.integers(0, 2, size=(4, 6))]:
        r = stats.friedmanchisquare(*scores.T)  # chi2 = m(n-1)W, corrected for ties
        m, n = scores.shape
        out.append({"scores": [lst(s) for s in scores], "chi2": r.statistic, "p": r.pvalue,
                    "W": r.statistic / (m * (n - 1))})
    return out


def iccs():
    out = []
    tables = [[[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]],
              rng.binomial(200, rng.uniform(0, 1, (12, 1)), (12, 3)), rng.normal(size=(5, 4)),
              rng.normal(size=(3, 2)) + [[0], [5], [2]]]
    for t in tables:
        t = np.asarray(t, float)
        frame = pd.DataFrame([(i, j, v) for i, row in enumerate(t) for j, v in enumerate(row)], columns=["row", "col", "v"])
        r = pingouin.intraclass_corr(frame, "row", "col", "v")
        ci = [c for c in r if c.startswith("CI")][0]
        p = [c for c in r if c.startswith("p")][0]
        out.append({"table": [lst(row) for row in t],
                    "forms": [{"type": a, "icc": float(b), "F": float(f), "p": float(q), "ci95": lst(c)}
                              for a, b, f, q, c in zip(r["Type"], r["ICC"], r["F"], r[p], r[ci])]})
    return out


def proportions():
    out = []
    for k, n in [(0, 10), (1, 10), (5, 10), (10, 10), (3, 200), (94, 100), (4321, 9000), (7, 135000), (134990, 135000), (1, 1)]:
        for level in [0.9, 0.95, 0.999]:
            out.append({"k": k, "n": n, "level": level,
                        "wilson": lst(proportion_confint(k, n, 1 - level, "wilson")),
                        "clopper_pearson": lst(np.nan_to_num(np.array(proportion_confint(k, n, 1 - level, "beta")), nan=0))})
    return out


def families():
    out = []
    for p in [[0.01, 0.04, 0.03, 0.005], [0.5], [1e-30, 0.2, 0.2, 0.9, 1.0, 0.0], lst(rng.uniform(size=20) ** 3)]:
        out.append({"p": p, **{name: lst(multipletests(p, method=m)[1])
                               for name, m in [("bonferroni", "bonferroni"), ("holm", "holm"), ("bh", "fdr_bh")]}})
    return out


def lines():
    out = []
    x = rng.normal(size=25)
    for x, y in [(x, 2 * x + rng.normal(size=25)), (np.round(x * 2), np.round(x + rng.normal(size=25))),
                 ([1, 2, 3, 4, 10, 12, 18], [9, 15, 19, 20, 45, 55, 78])]:
        r = stats.theilslopes(y, x, 0.95)
        out.append({"x": lst(x), "y": lst(y), "slope": r[0], "intercept": r[1], "ci95": [r[2], r[3]]})
    return out


def regressions():
    out = []
    for n, k in [(20, 1), (40, 3), (6, 2)]:
        x = rng.normal(size=(n, k)) * [10.0 ** i for i in range(k)] + 5
        y = x[:, 0] - 0.3 * x[:, -1] + rng.normal(size=n)
        full, base = sm.OLS(y, sm.add_constant(x)).fit(), sm.OLS(y, sm.add_constant(x[:, : k - 1]) if k > 1 else np.ones(n)).fit()
        f, p, d = full.compare_f_test(base)
        folds = np.arange(n) % 4
        predicted, null = np.zeros(n), np.zeros(n)
        if n > 10:
            for q in range(4):
                train = folds != q
                predicted[~train] = sm.OLS(y[train], sm.add_constant(x[train])).fit().predict(sm.add_constant(x[~train], has_constant="add"))
                null[~train] = y[train].mean()
        out.append({"y": lst(y), "x": [lst(c) for c in x.T], "params": lst(full.params), "se": lst(full.bse),
                    "p": lst(full.pvalues), "ci90": [lst(c) for c in full.conf_int(0.1)], "r2": full.rsquared,
                    "adjusted_r2": full.rsquared_adj, "nested": {"F": f, "p": p, "df1": int(d), "df2": int(full.df_resid)},
                    "cv": {"folds": [int(q) for q in folds], "predicted": lst(predicted),
                           "r2": float(1 - ((y - predicted) ** 2).sum() / ((y - null) ** 2).sum())} if n > 10 else None})
    return out


def kappas():
    out = []
    for table in [[[20, 5], [10, 15]], [[44, 5, 1], [7, 20, 3], [9, 5, 6]], [[3, 0], [1, 6]]]:
        r = cohens_kappa(np.array(table))
        out.append({"table": table, "kappa": r.kappa, "se": r.std_kappa, "null_se": r.std_kappa0, "p": float(r.pvalue_two_sided)})
    return out


def bcas():
    from scipy.stats import _resampling
    out = []
    for x, f in [(rng.exponential(size=20), "mean"), (rng.normal(size=15), "mean")]:
        replicates = np.sort(rng.choice(x, (500, len(x))).mean(1))
        a, b, _ = _resampling._bca_interval((x,), lambda v, axis: np.mean(v, axis=axis), -1, 0.05, replicates, 100, np)
        out.append({"x": lst(x), "replicates": lst(replicates), "tails": [float(a), float(b)],
                    "ci90": lst(np.percentile(replicates, [a * 100, b * 100]))})
    return out


def tails():
    mpmath.mp.dps = 40
    out = {"t": [], "F": [], "chi2": []}
    for t, df in [(0, 5), (1e-9, 30), (0.3, 1), (2.5, 7), (14.26, 198), (35, 197), (40, 5000), (1e4, 3), (0.85, 134998)]:
        x = mpmath.mpf(df) / (df + mpmath.mpf(t) ** 2)
        out["t"].append([t, df, float(mpmath.betainc(mpmath.mpf(df) / 2, 0.5, 0, x, regularized=True))])
    for f, a, b in [(0.5, 1, 10), (3, 7, 32), (65.59, 50, 1000), (900, 1, 38), (300, 7, 1000), (1, 999, 20)]:
        x = mpmath.mpf(b) / (b + a * mpmath.mpf(f))
        out["F"].append([f, a, b, float(mpmath.betainc(mpmath.mpf(b) / 2, mpmath.mpf(a) / 2, 0, x, regularized=True))])
    for c, k in [(0.1, 1), (14.07, 7), (33.4, 7), (860, 199), (400, 2), (1400, 7)]:
        out["chi2"].append([c, k, float(mpmath.gammainc(mpmath.mpf(k) / 2, mpmath.mpf(c) / 2, regularized=True))])
    return out


def described():
    out = []
    for v in [[3.0], [1, 2], [0.1] * 5, [0.3033, 0.6917, 0.4267, 0.5083, 0.655], lst(rng.normal(size=10) * 1e6)]:
        v = np.asarray(v, float)
        out.append({"values": lst(v), "mean": v.mean(), "std": v.std(), "sample_std": float(v.std(ddof=1)) if len(v) > 1 else None,
                    "median": float(np.median(v)), "q": lst(np.percentile(v, [0, 2.5, 25, 60, 97.5, 100]))})
    return out


json.dump({
    "computed_with": {"python": sys.version.split()[0], "numpy": np.__version__, "scipy": scipy.__version__,
                      "statsmodels": statsmodels.__version__, "pingouin": pingouin.__version__, "mpmath": mpmath.__version__,
                      "pandas": pd.__version__},
    "sources": {"correlations": "scipy.stats spearmanr, pearsonr, kendalltau, rankdata", "partials": "pingouin.partial_corr on ranks",
                "permutation_tests": "all permutations with scipy.stats", "kruskals": "scipy.stats.kruskal",
                "concordances": "scipy.stats.friedmanchisquare", "iccs": "pingouin.intraclass_corr; table 0 is Shrout and Fleiss 1979",
                "proportions": "statsmodels proportion_confint", "families": "statsmodels multipletests",
                "lines": "scipy.stats.theilslopes", "regressions": "statsmodels OLS, compare_f_test", "kappas": "statsmodels cohens_kappa",
                "bcas": "scipy.stats._resampling._bca_interval on given replicates", "tails": "mpmath, 40 digits", "described": "numpy"},
    "correlations": correlations(), "partials": partials(), "permutation_tests": permutation_tests(), "kruskals": kruskals(),
    "concordances": concordances(), "iccs": iccs(), "proportions": proportions(), "families": families(), "lines": lines(),
    "regressions": regressions(), "kappas": kappas(), "bcas": bcas(), "tails": tails(), "described": described(),
}, sys.stdout, indent=None, separators=(",", ":"), default=float)
