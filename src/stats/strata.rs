//! Post-stratification: effects within strata, combined by the sizes of the strata.
//!
//! Xie and Aurisset, "Improving the sensitivity of online controlled experiments" (KDD 2016), with
//! the sizes of the strata taken as one multinomial draw; both the effects and the sizes add to the
//! variance.

use crate::stats::level::{Error, at_least};
use crate::stats::moments::{Arms, Moments};
use crate::stats::welch::Effect;

/// The difference of the means over all strata.
///
/// # Errors
/// Without strata, with fewer than two units of an arm in one, or without variance.
pub fn effect(strata: &[Arms<Moments>]) -> Result<Effect, Error> {
    at_least("strata", strata.len() as u64, 1)?;
    for stratum in strata {
        at_least("observations", stratum.control.n.min(stratum.treatment.n), 2)?;
    }
    let units: f64 =
        strata.iter().map(|stratum| (stratum.control.n + stratum.treatment.n) as f64).sum();
    let weight = |stratum: &Arms<Moments>| (stratum.control.n + stratum.treatment.n) as f64 / units;
    let pooled = |of: &dyn Fn(&Arms<Moments>) -> f64| {
        strata.iter().map(|stratum| weight(stratum) * of(stratum)).sum::<f64>()
    };
    let difference = |stratum: &Arms<Moments>| stratum.treatment.mean - stratum.control.mean;
    let estimate = pooled(&difference);
    let deviation = |stratum: &Arms<Moments>| difference(stratum) - estimate;
    let sizes = pooled(&|stratum| deviation(stratum) * deviation(stratum)) / units;
    let within = |stratum: &Arms<Moments>| {
        weight(stratum)
            * (stratum.control.variance_of_mean() + stratum.treatment.variance_of_mean())
    };
    let standard_error = (sizes + pooled(&within)).sqrt();
    if standard_error > 0.0 {
        Ok(Effect { estimate, standard_error })
    } else {
        Err(Error::NoVariance("the metric"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(n: u64, mean: f64, variance: f64) -> Moments {
        Moments { n, mean, variance }
    }

    #[test]
    fn one_stratum_is_the_plain_comparison() {
        let arms = Arms { control: moments(80, 2.0, 3.0), treatment: moments(90, 2.5, 4.0) };
        let (one, plain) = (effect(&[arms]).unwrap(), Effect::between(&arms));
        assert!((one.estimate - plain.estimate).abs() < 1e-15);
        assert!((one.standard_error - plain.standard_error).abs() < 1e-15);
    }

    #[test]
    fn strata_of_unequal_mix_do_not_make_an_effect() {
        // No effect within either, but the treatment has more of the higher stratum: the plain
        // difference would be 4.
        let low = Arms { control: moments(80, 1.0, 1.0), treatment: moments(20, 1.0, 1.0) };
        let high = Arms { control: moments(20, 11.0, 1.0), treatment: moments(80, 11.0, 1.0) };
        let effect = effect(&[low, high]).unwrap();
        assert_eq!(effect.estimate, 0.0);
        assert!(effect.standard_error < 0.2);
    }

    #[test]
    fn empty_strata_are_refused() {
        assert!(effect(&[]).is_err());
        let small = Arms { control: moments(1, 1.0, 0.0), treatment: moments(9, 1.0, 1.0) };
        assert!(effect(&[small]).is_err());
    }
}
