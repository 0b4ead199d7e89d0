//! ISO 8601 dates and times of valid time, as instants that compare.
//!
//! In: `2024-01-31`, `20240131`, `2024-01-31T10:00:00.5+02:00` and their kin. Out: an [`Instant`],
//! or None when the text is no date.
//!
//! | part | forms |
//! |---|---|
//! | date | `YYYY-MM-DD`, `YYYYMMDD`; years 0001 to 9999, proleptic Gregorian |
//! | between | `T`, `t` or one space |
//! | time | `hh:mm`, `hh:mm:ss`, `hhmm`, `hhmmss`, seconds with `.` and one to nine digits; up to 23:59:59 |
//! | offset | `Z`, `z`, `±hh:mm`, `±hhmm`, `±hh`; none is UTC |

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Instant {
    /// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
    pub(crate) seconds: i64,
    /// Nanoseconds of the second, 0 to 999,999,999.
    pub(crate) nanoseconds: u32,
}

/// What a date is used for: says which instant of a bare date is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// `valid_from`: the day's first instant.
    From,
    /// `valid_to`: the day's last nanosecond, so that the whole day is included.
    To,
    /// The time of a read: the day's first instant.
    At,
}

const DAY_SECONDS: i64 = 86_400;
const NANOSECOND_DIGITS: usize = 9;

/// Parses a date, or a date and time.
pub(crate) fn parse(text: &str, bound: Bound) -> Option<Instant> {
    let mut reader = Reader { rest: text.as_bytes() };
    let midnight = reader.date()? * DAY_SECONDS;
    if reader.rest.is_empty() {
        return Some(match bound {
            Bound::From | Bound::At => Instant { seconds: midnight, nanoseconds: 0 },
            Bound::To => Instant { seconds: midnight + DAY_SECONDS - 1, nanoseconds: 999_999_999 },
        });
    }
    if !(reader.passes(b'T') || reader.passes(b't') || reader.passes(b' ')) {
        return None;
    }
    let (second_of_day, nanoseconds) = reader.time()?;
    let seconds = midnight + second_of_day - reader.offset_seconds()?;
    reader.rest.is_empty().then_some(Instant { seconds, nanoseconds })
}

/// A text, from the place reached in it.
struct Reader<'t> {
    rest: &'t [u8],
}

impl Reader<'_> {
    /// Reads a date, as days since 1970-01-01.
    fn date(&mut self) -> Option<i64> {
        let year = self.number(4, 1..=9999)?;
        let extended = self.passes(b'-');
        let month = self.number(2, 1..=12)?;
        if extended && !self.passes(b'-') {
            return None;
        }
        let day = self.number(2, 1..=days_of_month(year, month))?;
        Some(days_since_1970(year, month, day))
    }

    /// Reads a time, as the second of the day and its nanoseconds.
    fn time(&mut self) -> Option<(i64, u32)> {
        let hour = self.number(2, 0..=23)?;
        let extended = self.passes(b':');
        let minute = self.number(2, 0..=59)?;
        let seconds_follow = match extended {
            true => self.passes(b':'),
            false => self.rest.first().is_some_and(u8::is_ascii_digit),
        };
        let mut second = 0;
        let mut nanoseconds = 0;
        if seconds_follow {
            second = self.number(2, 0..=59)?;
            if self.passes(b'.') {
                nanoseconds = self.fraction()?;
            }
        }
        Some((hour * 3_600 + minute * 60 + second, nanoseconds))
    }

    /// Reads the digits behind the point of a second, as nanoseconds.
    fn fraction(&mut self) -> Option<u32> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > NANOSECOND_DIGITS {
            return None;
        }
        let value = self.number(digits, 0..=999_999_999)?;
        let scale = 10_u32.pow((NANOSECOND_DIGITS - digits) as u32);
        u32::try_from(value).ok().map(|value| value * scale)
    }

    /// Reads an offset, in seconds east of UTC; none is 0.
    fn offset_seconds(&mut self) -> Option<i64> {
        if self.rest.is_empty() || self.passes(b'Z') || self.passes(b'z') {
            return Some(0);
        }
        let sign = if self.passes(b'+') {
            1
        } else if self.passes(b'-') {
            -1
        } else {
            return None;
        };
        let hours = self.number(2, 0..=23)?;
        let minutes_follow = self.passes(b':') || !self.rest.is_empty();
        let minutes = if minutes_follow { self.number(2, 0..=59)? } else { 0 };
        Some(sign * (hours * 3_600 + minutes * 60))
    }

    /// Reads a number of exactly `digits` digits that is within `range`.
    fn number(&mut self, digits: usize, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let (number, rest) = self.rest.split_at_checked(digits)?;
        if number.is_empty() || !number.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.rest = rest;
        let value = number.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
        range.contains(&value).then_some(value)
    }

    /// Passes over `byte` if it comes next.
    fn passes(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }
}

/// Returns how many days a month has.
fn days_of_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => 31,
    }
}

/// Returns the days from 1970-01-01 to a date.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // A year that begins in March ends with its leap day, so that a month's days before it follow
    // a straight line: 153 days in five months.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    const DAYS_FROM_0000_03_01_TO_1970: i64 = 719_468;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - DAYS_FROM_0000_03_01_TO_1970
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<(i64, u32)> {
        parse(text, Bound::At).map(|instant| (instant.seconds, instant.nanoseconds))
    }

    #[test]
    fn dates_are_midnight_or_the_end_of_the_day() {
        for text in ["2024-02-29", "20240229"] {
            assert_eq!(at(text), Some((1_709_164_800, 0)));
            let end = parse(text, Bound::To).unwrap();
            assert_eq!((end.seconds, end.nanoseconds), (1_709_251_199, 999_999_999));
            assert_eq!(parse(text, Bound::From), parse(text, Bound::At));
        }
        // A date with a time is itself, also as an end.
        assert_eq!(parse("2024-02-29T00:00", Bound::To), parse("2024-02-29", Bound::From));
    }

    #[test]
    fn all_forms_of_one_instant_are_equal() {
        for text in [
            "2024-01-31T10:00:30",
            "2024-01-31t10:00:30z",
            "2024-01-31 10:00:30.000000000Z",
            "20240131T100030",
            "20240131T100030.0Z",
            "2024-01-31T12:00:30+02:00",
            "2024-01-31T12:00:30+0200",
            "2024-01-31T12:00:30+02",
            "2024-01-31T04:30:30-05:30",
            "2024-01-31T00:30:30-0930",
            "2024-02-01T00:00:30+14",
        ] {
            assert_eq!(at(text), Some((1_706_695_230, 0)), "{text}");
        }
        assert_eq!(at("20240131T1000"), at("2024-01-31 10:00"));
        assert_eq!(at("20240131T1000+0100"), at("2024-01-31T09:00-00:00"));
    }

    #[test]
    fn fractions_have_one_to_nine_digits() {
        assert_eq!(at("1970-01-01T00:00:00.5"), Some((0, 500_000_000)));
        assert_eq!(at("1970-01-01T00:00:00.000000001Z"), Some((0, 1)));
        assert_eq!(at("1969-12-31T23:59:59.999999999Z"), Some((-1, 999_999_999)));
        assert_eq!(at("1970-01-01T000000.25+0000"), Some((0, 250_000_000)));
        assert_eq!(at("1970-01-01T00:00:00."), None);
        assert_eq!(at("1970-01-01T00:00:00.0000000001"), None);
    }

    #[test]
    fn the_calendar_reaches_from_year_1_to_9999() {
        assert_eq!(at("1970-01-01"), Some((0, 0)));
        assert_eq!(at("0001-01-01"), Some((-62_135_596_800, 0)));
        assert_eq!(at("9999-12-31T23:59:59Z"), Some((253_402_300_799, 0)));
        assert_eq!(at("2000-03-01"), Some((951_868_800, 0)));
        // Every day follows the one before it.
        let mut days = days_since_1970(1, 1, 1);
        for year in 1..=9999 {
            for month in 1..=12 {
                for day in 1..=days_of_month(year, month) {
                    assert_eq!(days_since_1970(year, month, day), days);
                    days += 1;
                }
            }
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2024",
            "2024-01",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "2024-01-32",
            "2023-02-29",
            "1900-02-29",
            "2024-04-31",
            "0000-01-01",
            "10000-01-01",
            "-0001-01-01",
            "2024-0131",
            "202401-31",
            "2024/01/31",
            "2024-1-1",
            "2024-01-31T",
            "2024-01-31 ",
            "2024-01-31T24:00",
            "2024-01-31T23:60",
            "2024-01-31T23:59:60",
            "2024-01-31T10",
            "2024-01-31T10:0",
            "2024-01-31T10:00:",
            "2024-01-31T10:00:0",
            "2024-01-31T10:00Zx",
            "2024-01-31T10:00+",
            "2024-01-31T10:00+1",
            "2024-01-31T10:00+24:00",
            "2024-01-31Z",
            "2024-01-31T10:00+01:60",
            "2024-01-31T10:00+01:",
            "2024-01-31T10:00+010",
            "2024-01-31T1000:00",
            "2024-01-31T10:0000",
            "2024-01-31T10:00.5",
            "tomorrow",
            " 2024-01-31",
            "2024-01-31  10:00",
            "２０２４-01-31",
            "2024-01-31+01:00",
            "2024-01-31T+1:00",
            "+024-01-31",
        ] {
            for bound in [Bound::From, Bound::To, Bound::At] {
                assert_eq!(parse(text, bound), None, "{text}");
            }
        }
    }

    #[test]
    fn instants_compare_across_offsets() {
        assert!(at("2024-01-31T23:30-01:00") > at("2024-02-01"));
        assert!(parse("2024-01-31", Bound::To) < parse("2024-02-01", Bound::From));
    }
}
