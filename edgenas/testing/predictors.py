"""What every predictor promises."""

from __future__ import annotations

import json
from types import ModuleType

import numpy as np
import pytest

from edgenas.core.contracts import PredictorMember
from edgenas.core.errors import PredictorError
from edgenas.core.plugins import lacks
from edgenas.predictors.base import Additive, FittedPredictor, TrainingData
from edgenas.testing.members import MemberContract


def rows(n: int, seed: int = 0, noise: float = 0.1) -> TrainingData:
    """Three terms, of which one is constant and one is collinear, and a linear response."""
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0, 4, (2, n))
    matrix = np.column_stack([a, b, a + b, np.full(n, 3.0)])
    response = 5 + 2 * a + 0.5 * b + rng.normal(0, noise, n)
    return TrainingData("latency_ms", "ms", ("a", "b", "a+b", "same"), matrix, response)


class PredictorContract(MemberContract):
    """What a member of the family "predictors" promises; an `Additive` one promises more."""

    family = "predictors"
    protocol = PredictorMember

    def additive(self, member: ModuleType) -> Additive:
        """Return a fitted predictor, if it is a sum over the terms."""
        fitted = member.fit(rows(80), seed=0)
        if not isinstance(fitted, Additive):
            pytest.skip("this predictor is no sum over the terms")
        return fitted

    def test_a_fitted_predictor_has_what_its_contract_names(self, member: ModuleType) -> None:
        fitted = member.fit(rows(40), seed=0)
        assert lacks(FittedPredictor, fitted) == []
        assert (fitted.name, fitted.unit, fitted.n) == ("latency_ms", "ms", 40)
        assert fitted.terms == rows(1).terms
        assert fitted.to_json()["kind"] == self.name_of(member)

    def test_rows_far_away_are_outside(self, member: ModuleType) -> None:
        fitted = member.fit(rows(60), seed=0)
        far = np.array([[40.0, -40.0, 0.0, 3.0]])
        assert fitted.outside(far)[0] > 1
        assert np.mean(fitted.outside(rows(60).matrix) > 1) < 0.2

    def test_predicts_rows_it_has_not_seen(self, member: ModuleType) -> None:
        fitted, unseen = member.fit(rows(60), seed=0), rows(200, seed=1)
        error = fitted.predict(unseen.matrix) - unseen.response
        assert np.sqrt(np.mean(error**2)) < 0.13

    def test_intervals_cover_what_they_say(self, member: ModuleType) -> None:
        fitted, unseen = member.fit(rows(120), seed=0), rows(4000, seed=1)
        for confidence in (0.8, 0.9, 0.95):
            predicted = fitted.get_prediction(unseen.matrix, confidence)
            inside = (predicted.lower <= unseen.response) & (unseen.response <= predicted.upper)
            assert confidence - 0.07 < inside.mean() < confidence + 0.06
            np.testing.assert_allclose(predicted.mean, fitted.predict(unseen.matrix))

    def test_heldout_error_is_near_the_noise(self, member: ModuleType) -> None:
        heldout = member.fit(rows(200), seed=0).heldout
        assert heldout.n == 200
        assert 0.08 < heldout.rmse < 0.12
        assert 0.85 < heldout.coverage < 0.95
        assert heldout.kendall_tau > 0.9

    def test_same_seed_same_predictor(self, member: ModuleType) -> None:
        assert member.fit(rows(30), seed=3).to_json() == member.fit(rows(30), seed=3).to_json()

    def test_json_gives_the_same_predictions(self, member: ModuleType) -> None:
        fitted, unseen = member.fit(rows(40), seed=0), rows(50, seed=1)
        loaded = member.load(json.loads(json.dumps(fitted.to_json(), allow_nan=False)))
        for confidence in (0.5, 0.95):
            before = fitted.get_prediction(unseen.matrix, confidence)
            after = loaded.get_prediction(unseen.matrix, confidence)
            np.testing.assert_array_equal(before.mean, after.mean)
            np.testing.assert_array_equal(before.upper, after.upper)
        if isinstance(fitted, Additive):
            assert loaded.coefficients(0.9) == fitted.coefficients(0.9)
        assert loaded.heldout == fitted.heldout

    def test_an_edited_or_newer_file_is_refused(self, member: ModuleType) -> None:
        document = member.fit(rows(40), seed=0).to_json()
        for edit in ({"terms": ["a"]}, {"format": 99}, {"kind": "oracle"}, {"surprise": 1}):
            with pytest.raises(PredictorError):
                member.load({**document, **edit})
        with pytest.raises(PredictorError):
            member.load([1, 2])

    def test_more_terms_than_rows(self, member: ModuleType) -> None:
        rng = np.random.default_rng(0)
        matrix = rng.normal(size=(20, 60))
        response = 10 + 3 * matrix[:, 0] + rng.normal(0, 0.1, 20)
        terms = tuple(f"t{i}" for i in range(60))
        fitted = member.fit(TrainingData("x", "ms", terms, matrix, response), seed=0)
        assert np.isfinite(fitted.predict(rng.normal(size=(9, 60)))).all()

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_rows_that_cannot_be_fitted(self, member: ModuleType, bad: float) -> None:
        data = rows(30)
        data.response[3] = bad
        with pytest.raises(PredictorError, match="latency_ms"):
            member.fit(data, seed=0)
        with pytest.raises(PredictorError, match="1 row"):
            member.fit(rows(1), seed=0)
        constant = rows(30)
        constant.response[:] = 2.0
        with pytest.raises(PredictorError, match="every response is 2"):
            member.fit(constant, seed=0)

    def test_margin_is_the_upper_bound_and_never_below_the_least(self, member: ModuleType) -> None:
        fitted = self.additive(member)
        unseen = rows(500, seed=1)
        predicted = fitted.get_prediction(unseen.matrix, 0.95)
        margin = fitted.margin(unseen.matrix, 0.95)
        np.testing.assert_allclose(predicted.upper - predicted.mean, margin)
        assert margin.min() >= fitted.least_margin(0.95) > 0

    def test_effects_and_no_effect(self, member: ModuleType) -> None:
        fitted = self.additive(member)
        difference = np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
        effect = fitted.contrast(difference, 0.999)
        assert effect.lower[0] < 2 < effect.upper[0]
        assert effect.mean[1] == effect.lower[1] == effect.upper[1] == 0

    def test_coefficients_name_every_term(self, member: ModuleType) -> None:
        fitted = self.additive(member)
        table = fitted.coefficients(0.95)
        assert [line.name for line in table] == ["intercept", *fitted.terms]
        for line in table:
            assert line.conf_int[0] <= line.coef <= line.conf_int[1]
            assert 0 <= line.pvalue <= 1
