"""Writes vectors.json: own cases with values from an implementation other than the product's.

    python3 vectors.py > vectors.json          # needs numpy and scipy
    python3 vectors.py --check FULL.json       # recomputes the cases of a full file of vectors

Inputs are drawn here from a fixed seed, values are computed with scipy from the published formulas.
With --check the same functions recompute the inputs of a file that gbstats, confseq, statsmodels and
clubSandwich computed, and the largest distance from its values is printed for each section.
"""

import hashlib
import itertools
import json
import math
import sys

import numpy
from scipy import optimize, special, stats

RANDOM = numpy.random.default_rng(20261130)


def moments(arm):
    n = arm["n"]
    if "successes" in arm:
        p = arm["successes"] / n
        return n, p, p * (1 - p)
    mean = arm["sum"] / n
    return n, mean, (arm["sum_squares"] - n * mean * mean) / (n - 1)


def welch(control, treatment, alpha):
    (n_c, m_c, v_c), (n_t, m_t, v_t) = control, treatment
    a, b = v_t / n_t, v_c / n_c
    se = math.sqrt(a + b)
    dof = (a + b) ** 2 / (a * a / (n_t - 1) + b * b / (n_c - 1))
    t = (m_t - m_c) / se
    half = stats.t.isf(alpha / 2, dof) * se
    return {
        "point_estimate": m_t - m_c,
        "standard_error": se,
        "dof": dof,
        "statistic": t,
        "p_value": 2 * stats.t.sf(abs(t), dof),
        "ci_lower": m_t - m_c - half,
        "ci_upper": m_t - m_c + half,
    }


def described(control, treatment):
    of = lambda arm: {"mean": arm[1], "variance": arm[2]}
    return {"control": of(control), "treatment": of(treatment)}


def mean_ttest(i):
    arms = moments(i["control"]), moments(i["treatment"])
    return welch(*arms, i["alpha"]) | described(*arms)


def proportion_ttest(i):
    arms = moments(i["control"]), moments(i["treatment"])
    z = stats.norm.isf(i["alpha"] / 2)

    def wilson(n, p, _):
        scale = 1 / (1 + z * z / n)
        half = scale * z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return scale * (p + z * z / (2 * n)) - half, scale * (p + z * z / (2 * n)) + half

    (l_c, u_c), (l_t, u_t) = wilson(*arms[0]), wilson(*arms[1])
    p_c, p_t = arms[0][1], arms[1][1]
    lower = p_t - p_c - math.hypot(p_t - l_t, u_c - p_c)
    upper = p_t - p_c + math.hypot(u_t - p_t, p_c - l_c)
    return welch(*arms, i["alpha"]) | {"newcombe_ci": [lower, upper]}


def pair(n, s1, q1, s2, q2, products):
    m1, m2 = s1 / n, s2 / n
    covariance = (products - n * m1 * m2) / (n - 1)
    return m1, (q1 - n * m1 * m1) / (n - 1), m2, (q2 - n * m2 * m2) / (n - 1), covariance


def ratio_delta(i):
    def arm(a):
        m, v_m, d, v_d, cov = pair(a["n"], a["num_sum"], a["num_sum_squares"], a["den_sum"],
                                   a["den_sum_squares"], a["num_den_sum_of_products"])
        return a["n"], m / d, v_m / d**2 + v_d * m * m / d**4 - 2 * cov * m / d**3

    arms = arm(i["control"]), arm(i["treatment"])
    return welch(*arms, i["alpha"]) | described(*arms)


def cuped(i):
    parts = {}
    for name in ("control", "treatment"):
        a = i[name]
        parts[name] = (a["n"], *pair(a["n"], a["post_sum"], a["post_sum_squares"], a["pre_sum"],
                                     a["pre_sum_squares"], a["post_pre_sum_of_products"]))
    total = lambda key: i["control"][key] + i["treatment"][key]
    _, _, _, v_pre, cov = pair(total("n"), total("post_sum"), total("post_sum_squares"),
                               total("pre_sum"), total("pre_sum_squares"),
                               total("post_pre_sum_of_products"))
    theta = cov / v_pre
    adjusted = [(n, m - theta * p, v + theta**2 * w - 2 * theta * c)
                for n, m, v, p, w, c in (parts["control"], parts["treatment"])]
    return welch(*adjusted, i["alpha"]) | {"theta": theta}


def post_stratification(i):
    arms = [(moments(s["control"]), moments(s["treatment"])) for s in i["strata"]]
    total = sum(c[0] + t[0] for c, t in arms)
    weights = numpy.array([(c[0] + t[0]) / total for c, t in arms])
    effects = numpy.array([t[1] - c[1] for c, t in arms])
    within = numpy.array([c[2] / c[0] + t[2] / t[0] for c, t in arms])
    estimate = float(weights @ effects)
    variance = weights @ (effects - estimate) ** 2 / total + weights**2 @ within
    return {"point_estimate": estimate, "standard_error": math.sqrt(variance)}


def sequence(estimate, se, n, alpha, planned):
    rho = math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / planned)
    scale = n * rho**2 + 1
    half = se * math.sqrt(2 * scale / (n * rho**2) * math.log(math.sqrt(scale) / alpha))
    p = min(1, math.sqrt(scale) * math.exp(-(rho**2) * n * estimate**2 / (2 * se**2 * scale)))
    return rho, half, p


def log_ratio_effect(i):
    (n_c, m_c, v_c), (n_t, m_t, v_t) = moments(i["control"]), moments(i["treatment"])
    x = math.log(m_t / m_c)
    se = math.sqrt(v_t / (n_t * m_t**2) + v_c / (n_c * m_c**2))
    _, half, p = sequence(x, se, n_c + n_t, i["alpha"], i["tuning_n_star"])
    return {
        "log_ratio": x,
        "standard_error": se,
        "relative_lift": math.expm1(x),
        "sequential_ci_lift": [math.expm1(x - half), math.expm1(x + half)],
        "sequential_p_value": p,
    }


def sequential_asymptotic_cs(i):
    d, se, n, a = i["point_estimate"], i["standard_error"], i["n_total"], i["alpha"]
    rho, half, p = sequence(d, se, n, a, i["tuning_n_star"])
    rho_1, _, _ = sequence(d, se, n, 2 * a, i["tuning_n_star"])
    scale = n * rho_1**2 + 1
    half_1 = se * math.sqrt(2 * scale / (n * rho_1**2) * math.log1p(math.sqrt(scale) / (2 * a)))
    return {
        "rho_two_sided": rho,
        "halfwidth_two_sided": half,
        "ci_lower": d - half,
        "ci_upper": d + half,
        "p_value": p,
        "rho_one_sided": rho_1,
        "halfwidth_one_sided": half_1,
        "lower_bound_one_sided": d - half_1,
        "upper_bound_one_sided": d + half_1,
    }


def sequential_boundaries(i):
    b = i["bernoulli"]
    n, share = b["trials"], b["successes"] / b["trials"]
    log = -2 * math.log(b["alpha_opt"])

    def excess(p):
        g, h, s, v = p, 1 - p, (share - p) * n, p * (1 - p) * n
        r = max(p * (1 - p) * b["t_opt"] / (log + math.log1p(log)) - g * h, 1e-3 * g * h)
        up, down = v + h * s, v - g * s
        value = -up / h * math.log(g) - down / g * math.log(h)
        value += special.betaln((r + down) / g, (r + up) / h) - special.betaln(r / g, r / h)
        return value + math.log(b["alpha"])

    ends = max(share, 1e-12), min(share, 1 - 1e-12)
    lower = 0.0 if share == 0 else optimize.brentq(excess, 1e-12, ends[1], xtol=1e-15)
    upper = 1.0 if share == 1 else optimize.brentq(excess, ends[0], 1 - 1e-12, xtol=1e-15)
    return {"bernoulli_ci": [lower, upper]}


def aipw_asymptotic_cs_stream(i):
    arms = len(i["propensity"][0])
    count, total = numpy.zeros(arms), numpy.zeros(arms)
    inverse, squares = numpy.zeros(arms), numpy.zeros(arms)
    differences, found = [], [{} for _ in range(arms)]
    for place, (arm, pi, y) in enumerate(zip(i["arm"], i["propensity"], i["outcome"])):
        score = (total + 0.5) / (count + 1)
        score[arm] += (y - score[arm]) / pi[arm]
        differences.append(score - score[0])
        count[arm] += 1
        total[arm] += y
        inverse[arm] += 1 / pi[arm]
        squares[arm] += 1 / pi[arm] ** 2
        if place + 1 in i["checkpoints"]:
            t, d = place + 1, numpy.array(differences)
            for k in range(1, arms):
                mean = d[:, k].mean()
                se = math.sqrt((d[:, k] ** 2).mean() - mean**2) / math.sqrt(t)
                _, half, _ = sequence(mean, se, t, i["alpha"] / (arms - 1), i["tuning_n_star"])
                for name, value in (("estimate", mean), ("standard_error", se),
                                    ("lower", mean - half), ("upper", mean + half),
                                    ("ess_arm", inverse[k] ** 2 / squares[k]),
                                    ("ess_control", inverse[0] ** 2 / squares[0])):
                    found[k].setdefault(name, []).append(float(value))
    return {"effects_vs_arm0": [{"arm": k} | found[k] for k in range(1, arms)]}


def multinomial_e_process(i):
    if "rate_ratio" in i:
        r = i["rate_ratio"]
        (a, b), t, c = r["beta_prior"], r["treatment_conversions"], r["control_conversions"]
        pi = r["treatment_allocation"]
        value = special.betaln(a + t, b + c) - special.betaln(a, b)
        return {"log_e_value": value - t * math.log(pi) - c * math.log1p(-pi)}
    theta, prior = numpy.array(i["theta0"]), numpy.array(i["dirichlet_prior"])
    theta = theta / theta.sum()
    counts, seen, values = numpy.zeros(len(theta), int), [], []
    for place, label in enumerate(i["labels"]):
        counts[label] += 1
        if place + 1 in i["checkpoints"]:
            value = special.gammaln(prior.sum()) - special.gammaln(prior.sum() + counts.sum())
            value += (special.gammaln(prior + counts) - special.gammaln(prior)).sum()
            seen.append(counts.tolist())
            values.append(float(value - counts @ numpy.log(theta)))
    return {"counts": seen, "log_e_value": values}


def bayes_gaussian_effect(i):
    (n_c, m_c, v_c), (n_t, m_t, v_t) = moments(i["control"]), moments(i["treatment"])
    mean, sd = m_t - m_c, math.sqrt(v_c / n_c + v_t / n_t)
    z = mean / sd
    loss = sd * stats.norm.pdf(z) - mean * stats.norm.sf(z)
    return {"chance_to_beat_control": stats.norm.cdf(z), "expected_loss_choose_treatment": loss}


def ranked(arms):
    """Probabilities that each of some distributions is the highest, and the second highest."""
    points = sorted({float(a.ppf(q)) for a in arms for q in (1e-13, 1e-6, 1e-3, 0.05, 0.25, 0.5,
                                                             0.75, 0.95)}
                    | {float(a.isf(q)) for a in arms for q in (1e-13, 1e-6, 1e-3)})
    nodes, own = numpy.polynomial.legendre.leggauss(60)
    middle, half = (numpy.array([f * (b + s * a) for a, b in zip(points, points[1:])])[:, None]
                    for f, s in ((0.5, 1), (0.5, -1)))
    x, weight = (middle + half * nodes).ravel(), (half * own).ravel()
    below, above = [a.cdf(x) for a in arms], [a.sf(x) for a in arms]
    best, second = [], []
    for k, arm in enumerate(arms):
        none, one = numpy.ones_like(x), numpy.zeros_like(x)
        for other in (o for o in range(len(arms)) if o != k):
            none, one = none * below[other], one * below[other] + none * above[other]
        density = weight * arm.pdf(x)
        best.append(float(density @ none))
        second.append(float(density @ one))
    return best, second


def beta(arm, prior):
    return stats.beta(prior["alpha"] + arm["successes"],
                      prior["beta"] + arm["n"] - arm["successes"])


def weights(merits, floor):
    rest = 1 - len(merits) * floor
    if rest <= 0:
        return [1 / len(merits)] * len(merits)
    return [floor + rest * merit / sum(merits) for merit in merits]


def bayes_beta_binomial(i):
    best, _ = ranked([beta(i["treatment"], i["prior"]), beta(i["control"], i["prior"])])
    return {"p_treatment_beats_control": best[0]}


def bandit_gaussian(i):
    means = [a["mean"] for a in i["arms"]]
    variances = [a["variance"] / a["n"] for a in i["arms"]]
    best, second = ranked([stats.norm(m, math.sqrt(v)) for m, v in zip(means, variances)])
    top_two = [(a + b) / 2 for a, b in zip(best, second)]
    return {
        "posterior_mean": means,
        "posterior_variance": variances,
        "best_arm_probability": best,
        "top_two_probability": top_two,
        "weights_thompson": weights(best, i["min_weight"]),
        "weights_top_two": weights(top_two, i["min_weight"]),
    }


def bandit_beta(i):
    best, _ = ranked([beta(a, i["prior"]) for a in i["arms"]])
    return {"best_arm_probability": best, "weights_thompson": weights(best, i["min_weight"])}


def clustered(i):
    if "randomization_test" in i:
        r = i["randomization_test"]
        totals, sizes = numpy.array(r["cluster_totals"]), numpy.array(r["cluster_sizes"])
        treated = numpy.array(r["treatment"], bool)

        def difference(t):
            return totals[t].sum() / sizes[t].sum() - totals[~t].sum() / sizes[~t].sum()

        seen, far, choices = difference(treated), 0, 0
        for chosen in itertools.combinations(range(len(totals)), int(treated.sum())):
            t = numpy.zeros(len(totals), bool)
            t[list(chosen)] = True
            choices += 1
            far += abs(difference(t)) >= abs(seen) * (1 - 1e-12)
        return {"statistic": seen, "n_assignments": choices, "p_two_sided": far / choices}
    names = sorted({row["cluster"] for row in i["rows"]})
    x = numpy.array([[1.0, row["treatment"]] for row in i["rows"]])
    y = numpy.array([row["y"] for row in i["rows"]])
    places = [numpy.array([row["cluster"] == name for row in i["rows"]]) for name in names]
    n, inverse = len(y), numpy.linalg.inv(x.T @ x)
    b = inverse @ x.T @ y
    e = y - x @ b
    arm = numpy.array([0.0, 1.0])
    hat, variance, directions = x @ inverse @ x.T, 0.0, []
    for p in places:
        own, vectors = numpy.linalg.eigh(numpy.eye(p.sum()) - hat[numpy.ix_(p, p)])
        root = numpy.array([1 / math.sqrt(v) if v > 1e-10 else 0.0 for v in own])
        adjust = vectors @ numpy.diag(root) @ vectors.T
        score = arm @ inverse @ x[p].T @ adjust
        variance += float(score @ e[p]) ** 2
        residual = (numpy.eye(n) - hat)[p]
        directions.append(score @ residual)
    products = numpy.array(directions) @ numpy.array(directions).T
    dof = numpy.trace(products) ** 2 / (products**2).sum()
    se, ols = math.sqrt(variance), math.sqrt(e @ e / (n - 2) * inverse[1, 1])
    half = stats.t.isf(i["alpha"] / 2, dof) * se
    return {
        "estimate": b[1],
        "se_ols": ols,
        "se_cr2": se,
        "dof_satterthwaite": dof,
        "p_naive_ols": 2 * stats.t.sf(abs(b[1]) / ols, n - 2),
        "p_cr2_satterthwaite": 2 * stats.t.sf(abs(b[1]) / se, dof),
        "ci95_cr2": [b[1] - half, b[1] + half],
        "n_clusters": len(names),
    }


def power(i):
    if i["kind"] == "cluster_design_effect":
        size = (1 + i["cv_cluster_size"] ** 2) * i["mean_cluster_size"]
        return {"design_effect": 1 + (size - 1) * i["icc"]}
    p, q = i["baseline"], i["baseline"] * (1 + i["relative_lift"])
    z, spread = stats.norm.isf(i["alpha"] / 2), p * (1 - p) + q * (1 - q)
    real = (z + stats.norm.isf(1 - i["power"])) ** 2 * spread / (q - p) ** 2
    n = math.ceil(real)
    d = (q - p) / math.sqrt(spread / n)
    reached = stats.norm.sf(z - d) + stats.norm.cdf(-z - d)
    return {"n_per_arm_real": real, "n_per_arm": n, "power_at_n": reached}


def multiplicity(i):
    p, adjusted, largest = numpy.array(i["p_values"]), [0.0] * len(i["p_values"]), 0.0
    for rank, place in enumerate(numpy.argsort(p, kind="stable")):
        largest = min(1.0, max(largest, (len(p) - rank) * p[place]))
        adjusted[place] = largest
    return {"holm_adjusted": adjusted, "holm_reject": [v <= i["alpha"] for v in adjusted]}


def attribution(i):
    channels, paths = i["channels"], i["paths"]
    rules = {name: dict.fromkeys(channels, 0.0) for name in
             ("first_touch", "last_touch", "linear", "position_40_20_40", "shapley", "time_decay")}
    for path in paths:
        touches, won = path["path"], path["conversions"]
        n = len(touches)
        rules["first_touch"][touches[0]] += won
        rules["last_touch"][touches[-1]] += won
        for place, name in enumerate(touches):
            end = place in (0, n - 1)
            part = 1 / n if n < 3 else 0.4 if end else 0.2 / (n - 2)
            rules["linear"][name] += won / n
            rules["position_40_20_40"][name] += won * part
        for name in set(touches):
            rules["shapley"][name] += won / len(set(touches))
    for journey in i["time_decay"]["journeys"]:
        ages, half = journey["hours_before_conversion"], i["time_decay"]["half_life_hours"]
        parts = [2 ** ((min(ages) - age) / half) for age in ages]
        for name, part in zip(journey["path"], parts):
            rules["time_decay"][name] += part / sum(parts)
    size = len(channels)
    steps = numpy.zeros((size + 1, size + 2))
    for path in paths:
        state = size
        for name in path["path"]:
            steps[state, channels.index(name)] += path["conversions"] + path["nulls"]
            state = channels.index(name)
        steps[state, size] += path["conversions"]
        steps[state, size + 1] += path["nulls"]

    def converted(removed):
        totals = steps.sum(axis=1, keepdims=True)
        p = numpy.divide(steps, totals, out=numpy.zeros_like(steps), where=totals > 0)
        if removed is not None:
            p[removed] = 0
        transient = numpy.hstack([p[:, :size], numpy.zeros((size + 1, 1))])
        return numpy.linalg.solve(numpy.eye(size + 1) - transient, p[:, size])[size]

    whole = converted(None)
    effects = [1 - converted(k) / whole for k in range(size)]
    won = sum(path["conversions"] for path in paths)
    credits = {c: won * e / sum(effects) for c, e in zip(channels, effects)}
    return rules | {
        "total_conversions": won,
        "markov_conversion_probability": whole,
        "markov_removal_effect": dict(zip(channels, effects)),
        "markov": credits,
    }


def fnv(data):
    value = 0x811C9DC5
    for symbol in data:
        value = ((value ^ symbol) * 0x01000193) & 0xFFFFFFFF
    return value


def growthbook_hash(i):
    if i["kind"] == "bucket_ranges":
        n, coverage = i["num_variations"], min(max(i["coverage"] if i["coverage"] is not None
                                                   else 1.0, 0.0), 1.0)
        given = i["weights"]
        if given is None or len(given) != n or not 0.99 <= sum(given) <= 1.01:
            given = [1 / n] * n
        start, ranges = 0.0, []
        for weight in given:
            ranges.append([start, start + coverage * weight])
            start += weight
        return {"ranges": ranges}
    if i["kind"] == "choose_variation":
        found = [k for k, (a, b) in enumerate(i["ranges"]) if a <= i["n"] < b]
        return {"variation": found[0] if found else -1}
    utf8 = lambda text: text.encode()
    points = lambda text: map(ord, text)

    def utf16(text):
        data = text.encode("utf-16-le")
        return (data[k] | data[k + 1] << 8 for k in range(0, len(data), 2))

    def placed(symbols, seed, value, version):
        if version == 1:
            return fnv(symbols(value + seed)) % 1000 / 1000
        if version == 2:
            return fnv(symbols(str(fnv(symbols(seed + value))))) % 10000 / 10000
        return None

    if i["kind"] == "in_namespace":
        space = i["namespace"]
        place = placed(utf16, "__" + space["id"], i["value"], 1)
        return {"in_namespace": space["start"] <= place < space["end"]}
    of = lambda symbols: placed(symbols, i["seed"], i["value"], i["version"])
    return {"js_value": of(utf16), "utf8_value": of(utf8), "codepoint_value": of(points),
            "fnv1a32_utf8_seed_value": fnv((i["seed"] + i["value"]).encode())}


def murmur(text, seed):
    data, mask, h = text.encode(), 0xFFFFFFFF, seed
    turn = lambda v, by: (v << by | v >> (32 - by)) & mask
    mix = lambda k: turn(k * 0xCC9E2D51 & mask, 15) * 0x1B873593 & mask
    whole = len(data) // 4 * 4
    for k in range(0, whole, 4):
        h = (turn(h ^ mix(int.from_bytes(data[k:k + 4], "little")), 13) * 5 + 0xE6546B64) & mask
    if len(data) > whole:
        h ^= mix(int.from_bytes(data[whole:], "little"))
    h ^= len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B & mask
    h = (h ^ h >> 13) * 0xC2B2AE35 & mask
    return h ^ h >> 16


def other_sdk_hash(i):
    key, unit, salt, given = i["key"], i["unit"], i["salt"], i["integer_weights"]
    own = murmur(key + unit, 0)
    bucket = own * sum(given) >> 32
    sha1 = int(hashlib.sha1(f"{key}.{salt}.{unit}".encode()).hexdigest()[:15], 16)
    first = lambda data, n: int.from_bytes(data[:n], "big")
    return {
        "murmur3_32_seed0_unit": murmur(unit, 0),
        "murmur3_32_seed1_unit_key": murmur(unit + key, 1),
        "flagd_murmur3_key_unit": own,
        "flagd_integer_bucket": bucket,
        "flagd_variant_index": next(k for k in range(len(given)) if bucket < sum(given[:k + 1])),
        "unleash_rollout_1_100": murmur(f"{key}:{unit}", 0) % 100 + 1,
        "unleash_variant_1_1000": murmur(f"{key}:{unit}", 86028157) % 1000 + 1,
        "optimizely_bucket_0_9999": murmur(unit + key, 1) * 10000 >> 32,
        "launchdarkly_sha1_int": str(sha1),
        "planout_sha1_int": str(sha1),
        "launchdarkly_bucket": sha1 / 0xFFFFFFFFFFFFFFF,
        "eppo_md5_shard_10000": first(hashlib.md5(f"{salt}-{unit}".encode()).digest(), 4) % 10000,
        "statsig_sha256_bucket_10000":
            first(hashlib.sha256(f"{salt}.{unit}".encode()).digest(), 8) % 10000,
    }


# Inputs.

def sums(n, mean, sd):
    x = RANDOM.normal(mean, sd, n)
    return {"n": n, "sum": float(x.sum()), "sum_squares": float((x * x).sum())}


def share(n, p):
    return {"n": n, "successes": int(RANDOM.binomial(n, p))}


def two(control, treatment, **rest):
    return {"control": control, "treatment": treatment} | rest


def ratio(n):
    d = RANDOM.poisson(4, n) + 1.0
    m = RANDOM.poisson(0.3 * d)
    return {"n": n, "num_sum": float(m.sum()), "num_sum_squares": float((m * m).sum()),
            "den_sum": float(d.sum()), "den_sum_squares": float((d * d).sum()),
            "num_den_sum_of_products": float((m * d).sum())}


def before(n, effect):
    x = RANDOM.normal(5, 2, n)
    y = x + RANDOM.normal(1 + effect, 1, n)
    return {"n": n, "post_sum": float(y.sum()), "post_sum_squares": float((y * y).sum()),
            "pre_sum": float(x.sum()), "pre_sum_squares": float((x * x).sum()),
            "post_pre_sum_of_products": float((x * y).sum())}


def stream(arms, n):
    propensity, arm, outcome = [], [], []
    for _ in range(n):
        pi = 0.1 + (1 - 0.1 * arms) * RANDOM.dirichlet(numpy.ones(arms))
        pi = [round(float(p), 4) for p in pi]
        pi[-1] = round(1 - sum(pi[:-1]), 4)
        k = int(RANDOM.choice(arms, p=numpy.array(pi) / sum(pi)))
        propensity.append(pi)
        arm.append(k)
        outcome.append(float(RANDOM.random() < 0.2 + 0.1 * k))
    return {"arm": arm, "propensity": propensity, "outcome": outcome, "alpha": 0.05,
            "alpha_per_comparison": 0.05 / (arms - 1), "tuning_n_star": float(n),
            "checkpoints": [n // 4, n // 2, n]}


def labels(theta, prior, n):
    return {"labels": [int(k) for k in RANDOM.choice(len(theta), n, p=theta)], "theta0": theta,
            "dirichlet_prior": prior, "checkpoints": [n // 10, n // 2, n]}


def rows(sizes):
    found = []
    for k, size in enumerate(sizes):
        own = RANDOM.normal(0, 0.5)
        found += [{"cluster": f"c{k}", "treatment": k % 2, "y": float(RANDOM.normal(own + k % 2))}
                  for _ in range(size)]
    return {"rows": found, "alpha": 0.05, "covariate": False}


def permuted(treated):
    sizes = [float(n) for n in RANDOM.integers(5, 40, len(treated))]
    totals = [float(RANDOM.normal(n, 2)) for n in sizes]
    return {"randomization_test": {"cluster_totals": totals, "cluster_sizes": sizes,
                                   "treatment": treated}}


def journeys(channels, n):
    of = lambda: [str(c) for c in RANDOM.choice(channels, RANDOM.integers(1, 6))]
    paths = [{"path": of(), "conversions": int(RANDOM.integers(0, 20)),
              "nulls": int(RANDOM.integers(1, 40))} for _ in range(n)]
    aged = []
    for _ in range(n):
        path = of()
        ages = sorted((float(a) for a in RANDOM.uniform(0, 300, len(path))), reverse=True)
        aged.append({"path": path, "hours_before_conversion": ages})
    return {"channels": channels, "paths": paths,
            "time_decay": {"journeys": aged, "half_life_hours": 48.0}}


def cases():
    plain = {"alpha": 0.05, "difference_type": "absolute"}
    flat = {"inverse": False, "prior_relative": None}
    even = {"alpha": 1.0, "beta": 1.0}
    gaussian = lambda n: {"n": int(RANDOM.integers(50, 500)), "mean": float(RANDOM.normal(10, 0.3)),
                          "variance": float(RANDOM.uniform(2, 9))}
    hashed = lambda seed, value, version: {"kind": "hash", "seed": seed, "value": value,
                                           "version": version, "ascii": (seed + value).isascii()}
    return {
        "mean_ttest": [two(sums(300, 4, 2), sums(280, 4.2, 2.5), **plain),
                       two(sums(9, -1, 1), sums(12, 1, 3), **plain | {"alpha": 0.01})],
        "proportion_ttest": [two(share(800, 0.1), share(790, 0.13), **plain),
                             two({"n": 20, "successes": 0}, {"n": 30, "successes": 4}, **plain)],
        "ratio_delta": [two(ratio(200), ratio(240), **plain)],
        "log_ratio_effect": [
            two(sums(400, 5, 2), sums(420, 5.4, 2), kind="mean", alpha=0.05, tuning_n_star=1000.0),
            two(share(900, 0.1), share(880, 0.12), kind="proportion", alpha=0.1,
                tuning_n_star=5000.0)],
        "cuped": [two(before(150, 0.1), before(170, 0.3), **plain)],
        "post_stratification": [
            {"strata": [two(sums(60, m, 1), sums(70, m + 0.2, 1.5)) for m in (1, 3, 8)], **plain}],
        "sequential_asymptotic_cs": [
            {"point_estimate": d, "standard_error": se, "n_total": n, "alpha": a,
             "tuning_n_star": star, "source": "own"}
            for d, se, n, a, star in ((0.03, 0.01, 4000, 0.05, 5000.0),
                                      (-0.2, 0.09, 150, 0.1, 3000.0))],
        "sequential_boundaries": [
            {"bernoulli": {"successes": k, "trials": n, "alpha": 0.05, "t_opt": 500.0,
                           "alpha_opt": 0.05}} for k, n in ((17, 240), (0, 30), (900, 1200))],
        "aipw_asymptotic_cs_stream": [stream(3, 240)],
        "multinomial_e_process": [
            labels([0.5, 0.3, 0.2], [50.0, 30.0, 20.0], 400), labels([0.6, 0.4], [1.0, 1.0], 200),
            {"rate_ratio": {"treatment_conversions": 90, "control_conversions": 60,
                            "treatment_allocation": 0.45, "beta_prior": [1.0, 1.0],
                            "alpha": 0.05}}],
        "bayes_gaussian_effect": [two(sums(200, 3, 1), sums(210, 3.1, 1), **plain | flat)],
        "bayes_beta_binomial": [two(share(120, 0.2), share(130, 0.25), prior=even, alpha=0.05)],
        "bandit_gaussian": [{"arms": [gaussian(k) for k in range(n)], "prior": None,
                             "min_weight": 0.05, "minimise": False, "alpha": 0.05}
                            for n in (2, 4)],
        "bandit_beta": [{"arms": [share(150, p) for p in (0.1, 0.13, 0.16)], "prior": even,
                         "min_weight": 0.02}],
        "clustered": [rows([6, 9, 4, 12, 7, 5, 8, 10]), permuted([0, 1, 0, 1, 1, 0, 0])],
        "power": [{"kind": "proportion_sample_size", "baseline": 0.07, "relative_lift": 0.2,
                   "alpha": 0.05, "power": 0.8},
                  {"kind": "cluster_design_effect", "icc": 0.04, "mean_cluster_size": 17.5,
                   "cv_cluster_size": 0.6, "n_per_arm_individual": 700}],
        "multiplicity": [{"p_values": [0.04, 0.001, 0.2, 0.013, 0.04], "e_values": [],
                          "alpha": 0.05}],
        "attribution": [journeys(["warm", "direct", "factual", "brief"], 12)],
        "growthbook_hash": [
            hashed("seed", "unit-1", 1), hashed("seed", "unit-1", 2), hashed("ä", "Zoë 🏠", 2),
            {"kind": "bucket_ranges", "num_variations": 3, "coverage": 0.8,
             "weights": [0.5, 0.3, 0.2]},
            {"kind": "choose_variation", "n": 0.45, "ranges": [[0.0, 0.4], [0.5, 0.9]]},
            {"kind": "in_namespace", "value": "unit-1",
             "namespace": {"id": "space", "start": 0.2, "end": 0.9}}],
        "other_sdk_hash": [{"key": key, "unit": unit, "salt": "2026-11", "integer_weights": given}
                           for key, unit, given in (("greeting", "lead-17", [1, 1]),
                                                    ("price", "Zoë", [50, 30, 20]))],
    }


TOLERANCE = {"sequential_boundaries": 1e-7, "bandit_gaussian": 1e-7, "bandit_beta": 1e-7,
             "clustered": 1e-7, "growthbook_hash": 0.0, "other_sdk_hash": 0.0}


def plain(value):
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value.item() if isinstance(value, numpy.generic) else value


def write():
    sections = {}
    for name, inputs in cases().items():
        relative = TOLERANCE.get(name, 1e-8)
        found = [{"id": f"{name}-{place:03}", "input": i, "expected": plain(globals()[name](i))}
                 for place, i in enumerate(inputs)]
        sections[name] = {"tolerance": {"rel": relative, "abs": relative / 100}, "cases": found}
    text = json.dumps({"schema_version": "1.0", "set": "excerpt", "sections": sections},
                      ensure_ascii=False, separators=(",", ":"))
    print(text.replace('{"id"', '\n{"id"').replace('"cases":[', '"cases":['))


def distance(expected, got):
    if isinstance(got, dict):
        return max((distance(expected[key], got[key]) for key in got), default=0.0)
    if isinstance(got, list):
        return max((distance(a, b) for a, b in zip(expected, got, strict=True)), default=0.0)
    if expected is None or expected == got:
        return 0.0
    if isinstance(got, (str, bool)):
        return math.inf
    return abs(got - expected) / max(abs(expected), 0.01)


def check(path):
    for name, section in json.load(open(path))["sections"].items():
        if name not in globals():
            continue
        worst, count = 0.0, 0
        for case in section["cases"]:
            i = case["input"]
            if (i.get("difference_type") == "relative" or i.get("inverse") or i.get("covariate")
                    or i.get("minimise") or i.get("prior_relative")
                    or i.get("kind") in ("mean_mde", "mid_experiment_power") or "v_opt" in i
                    or (name == "bandit_gaussian" and i["prior"])):
                continue
            worst = max(worst, distance(case["expected"], plain(globals()[name](i))))
            count += 1
        print(f"{name}: {count} cases, {worst:.1e} of a tolerance of {section['tolerance']['rel']}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        check(sys.argv[2])
    else:
        write()
