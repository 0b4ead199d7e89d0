//! SUM, AVG, MIN and MAX of the values of one path over the rows of one group.
//!
//! In: raw canonical texts. Out: one raw canonical number, or `null`.
//!
//! Invariants:
//! * What is no number is skipped.
//! * A sum of integers is exact and an integer wherever i64 or u64 holds it; beyond, and as soon as
//!   a double takes part, it is a double, summed with Neumaier's compensation.
//! * MIN and MAX return the number as it was written; of equal ones, the first seen.

use std::cmp::Ordering;

use super::algebra::AggregateFunction;
use super::compare::Constant;
use crate::json::{TypeClass, type_class, write_double};

/// The state of one aggregate of one group.
#[derive(Debug)]
pub(super) enum Accumulator {
    /// For SUM and AVG.
    Total {
        /// Whether the mean is asked for.
        mean: bool,
        /// What was added.
        total: Total,
    },
    /// For MIN and MAX.
    Extreme {
        /// How a better number compares with the best one so far.
        better: Ordering,
        /// The best number so far.
        best: Option<Constant>,
    },
}

/// A sum that stays exact as long as only integers come.
#[derive(Debug, Default)]
pub(super) struct Total {
    count: u64,
    integers: i128,
    has_doubles: bool,
    doubles: Compensated,
}

/// Neumaier's sum: what a rounding loses is collected and added at the end.
#[derive(Clone, Copy, Debug, Default)]
struct Compensated {
    sum: f64,
    lost: f64,
}

impl Compensated {
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        self.sum = sum;
    }

    /// Adds an integer in two halves, neither of which loses a bit.
    fn add_integer(&mut self, value: i128) {
        let high = (value >> 53) << 53;
        self.add(high as f64);
        self.add((value - high) as f64);
    }

    fn value(self) -> f64 {
        let value = self.sum + self.lost;
        // After an overflow the collected loss is no number, but the sum still says where it went.
        if value.is_nan() { self.sum } else { value }
    }
}

impl Total {
    fn add(&mut self, raw: &str) {
        if let Ok(integer) = raw.parse::<i128>() {
            self.integers = self.integers.saturating_add(integer);
        } else if let Some(double) = raw.parse::<f64>().ok().filter(|double| double.is_finite()) {
            self.has_doubles = true;
            self.doubles.add(double);
        } else {
            return;
        }
        self.count += 1;
    }

    fn as_double(&self) -> f64 {
        let mut sum = self.doubles;
        sum.add_integer(self.integers);
        sum.value()
    }

    fn write_sum(&self, out: &mut String) {
        let fits = i64::try_from(self.integers).is_ok() || u64::try_from(self.integers).is_ok();
        if fits && !self.has_doubles {
            out.push_str(&self.integers.to_string());
        } else {
            write_finite(self.as_double(), out);
        }
    }

    fn write_mean(&self, out: &mut String) {
        match self.count {
            0 => out.push_str("null"),
            count => write_finite(self.as_double() / count as f64, out),
        }
    }
}

/// Writes a double, or null where the sum left the range of doubles: JSON has no infinity.
fn write_finite(value: f64, out: &mut String) {
    if value.is_finite() {
        write_double(value, out);
    } else {
        out.push_str("null");
    }
}

impl Accumulator {
    /// Makes an accumulator that has seen nothing.
    pub(super) fn new(function: AggregateFunction) -> Accumulator {
        match function {
            AggregateFunction::Sum => Accumulator::Total { mean: false, total: Total::default() },
            AggregateFunction::Average => {
                Accumulator::Total { mean: true, total: Total::default() }
            }
            AggregateFunction::Minimum => {
                Accumulator::Extreme { better: Ordering::Less, best: None }
            }
            AggregateFunction::Maximum => {
                Accumulator::Extreme { better: Ordering::Greater, best: None }
            }
        }
    }

    /// Takes in one value.
    pub(super) fn add(&mut self, raw: &str) {
        if type_class(raw) != TypeClass::Number {
            return;
        }
        match self {
            Accumulator::Total { total, .. } => total.add(raw),
            Accumulator::Extreme { better, best } => {
                if best.as_ref().is_none_or(|best| best.compare(raw) == Some(*better)) {
                    *best = Some(Constant::from_text(raw.to_owned()));
                }
            }
        }
    }

    /// Writes the result.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Accumulator::Total { mean: false, total } => total.write_sum(out),
            Accumulator::Total { mean: true, total } => total.write_mean(out),
            Accumulator::Extreme { best, .. } => {
                out.push_str(best.as_ref().map_or("null", Constant::text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(function: AggregateFunction, values: &[&str]) -> String {
        let mut accumulator = Accumulator::new(function);
        values.iter().for_each(|value| accumulator.add(value));
        let mut out = String::new();
        accumulator.write(&mut out);
        out
    }

    #[test]
    fn of_nothing_the_sum_is_zero_and_the_rest_is_null() {
        for values in [&[][..], &["null", "\"5\"", "true", "[1]"]] {
            assert_eq!(result(AggregateFunction::Sum, values), "0");
            assert_eq!(result(AggregateFunction::Average, values), "null");
            assert_eq!(result(AggregateFunction::Minimum, values), "null");
            assert_eq!(result(AggregateFunction::Maximum, values), "null");
        }
    }

    #[test]
    fn sums_of_integers_are_exact_integers() {
        let max = "9223372036854775807";
        assert_eq!(result(AggregateFunction::Sum, &["1", "\"x\"", "2"]), "3");
        assert_eq!(result(AggregateFunction::Sum, &[max, "1"]), "9223372036854775808");
        assert_eq!(result(AggregateFunction::Sum, &[max, max, "-9223372036854775807"]), max);
        assert_eq!(
            result(AggregateFunction::Sum, &["18446744073709551615", "1"]),
            "1.8446744073709552e+19"
        );
    }

    #[test]
    fn sums_with_doubles_lose_no_small_part() {
        assert_eq!(result(AggregateFunction::Sum, &["1", "2.0"]), "3.0");
        assert_eq!(result(AggregateFunction::Sum, &["1e+16", "1.0", "-1e+16"]), "1.0");
        assert_eq!(result(AggregateFunction::Sum, &["0.1"; 10]), "1.0");
        assert_eq!(
            result(AggregateFunction::Sum, &["9007199254740993", "0.5", "-9007199254740992"]),
            "1.5"
        );
        assert_eq!(result(AggregateFunction::Sum, &["1e+308", "1e+308"]), "null");
    }

    #[test]
    fn the_mean_is_a_double() {
        assert_eq!(result(AggregateFunction::Average, &["1", "2"]), "1.5");
        assert_eq!(result(AggregateFunction::Average, &["2", "null", "4"]), "3.0");
    }

    #[test]
    fn extremes_come_as_written_and_the_first_of_equals_stays() {
        assert_eq!(result(AggregateFunction::Minimum, &["2", "1.0", "1", "3"]), "1.0");
        assert_eq!(result(AggregateFunction::Maximum, &["2", "3", "3.0", "\"9\""]), "3");
        assert_eq!(
            result(AggregateFunction::Maximum, &["9007199254740992.0", "9007199254740993"]),
            "9007199254740993"
        );
    }
}
