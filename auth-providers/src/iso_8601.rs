//! Times as most JSON APIs write them: ISO 8601, in its extended format and with an offset (RFC
//! 3339, section 5.6).

use std::time::{Duration, SystemTime};

/// Reads a time such as `2026-11-21T12:00:00.5+02:00`. A space may stand for the `T` and before the
/// offset, seconds may be missing, and so may the colon and the minutes of the offset. `UTC` and
/// `GMT` are offsets of zero. What stands in brackets behind the offset, such as the name of a zone
/// (RFC 9557), is passed over.
///
/// `None` without an offset, since only the server knows its time zone.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let mut rest = Rest(text.trim());
    let year = rest.number(4)?;
    rest.one_of("-")?;
    let month = rest.number(2)?;
    rest.one_of("-")?;
    let day = rest.number(2)?;
    rest.one_of("Tt ")?;
    let hour = rest.number(2)?;
    rest.one_of(":")?;
    let minute = rest.number(2)?;
    let second = match rest.one_of(":") {
        Some(_) => rest.number(2)?,
        None => 0,
    };
    let nanos = match rest.one_of(".,") {
        Some(_) => rest.fraction()?,
        None => 0,
    };
    let offset = rest.offset()?;
    rest.brackets();
    // A leap second is the first second of the next minute.
    let is_time = hour < 24 && minute < 60 && second <= 60;
    if !rest.0.is_empty() || !is_time || !(1..=days_of(year, month)?).contains(&day) {
        return None;
    }
    let of_day = (hour * 60 + minute) * 60 + second - offset;
    let seconds = days_since_epoch(year, month, day) * 86_400 + of_day;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let at = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)?
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)?
    };
    at.checked_add(Duration::from_nanos(nanos))
}

/// What is left to read.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn one_of(&mut self, characters: &str) -> Option<char> {
        let first = self.0.chars().next()?;
        self.0 = self
            .0
            .strip_prefix(first)
            .filter(|_| characters.contains(first))?;
        Some(first)
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some(number)?
            .parse()
            .ok()
    }

    /// Any number of digits. What is less than a nanosecond is cut off.
    fn fraction(&mut self) -> Option<u64> {
        let rest = self.0.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        let nanos = digits.get(..9).unwrap_or(digits);
        (!digits.is_empty()).then(|| format!("{nanos:0<9}").parse().ok())?
    }

    /// In seconds, east of Greenwich.
    fn offset(&mut self) -> Option<i64> {
        let _ = self.one_of(" ");
        for zero in ["UTC", "GMT"] {
            if let Some(behind) = self.0.strip_prefix(zero) {
                self.0 = behind;
                return Some(0);
            }
        }
        let sign = match self.one_of("Zz+-\u{2212}")? {
            'Z' | 'z' => return Some(0),
            '+' => 1,
            _ => -1,
        };
        let hours = self.number(2)?;
        let colon = self.one_of(":");
        let minutes = match colon {
            None if self.0.is_empty() => 0,
            _ => self.number(2)?,
        };
        (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60)
    }

    fn brackets(&mut self) {
        if self.0.starts_with('[') && self.0.ends_with(']') {
            self.0 = "";
        }
    }
}

fn days_of(year: i64, month: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if is_leap { 29 } else { 28 }),
        _ => None,
    }
}

/// Days in the Gregorian calendar. A year begins in March here, so that its leap day is its last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 306 days from the first of March to the end of the year; 719,468 from there, in the year 0,
    // to 1970.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds since the epoch.
    fn seconds(text: &str) -> Option<f64> {
        let at = parse(text)?;
        Some(match at.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => since.as_secs_f64(),
            Err(before) => -before.duration().as_secs_f64(),
        })
    }

    #[test]
    fn a_time_is_read_with_any_offset() {
        // `date -u -d 2026-11-21T12:00:00Z +%s`
        const NOON: f64 = 1_795_262_400.0;
        for (text, expected) in [
            ("2026-11-21T12:00:00Z", NOON),
            (" 2026-11-21t12:00:00z\n", NOON),
            ("2026-11-21 12:00Z", NOON),
            ("2026-11-21 12:00:00 +0000", NOON),
            ("2026-11-21T14:00:00+02:00", NOON),
            ("2026-11-21T14:00:00+02", NOON),
            ("2026-11-21T06:30:00-0530", NOON),
            ("2026-11-21T06:30:00\u{2212}05:30", NOON),
            ("2026-11-22T01:45:00+13:45", NOON),
            ("2026-11-21T14:00:00+02:00[Europe/Berlin]", NOON),
            ("2026-11-21T12:00:00Z[UTC][u-ca=iso8601]", NOON),
            ("2026-11-21 12:00:00 UTC", NOON),
            ("2026-11-21T12:00:00GMT", NOON),
            ("2026-11-21T12:00:00.5Z", NOON + 0.5),
            ("2026-11-21T12:00:00,250Z", NOON + 0.25),
            ("2026-11-21T12:00:00.1234567891234Z", NOON + 0.123_456_789),
            ("2026-11-21T11:59:60Z", NOON),
            ("1970-01-01T00:00:00Z", 0.0),
            ("1969-12-31T23:59:59Z", -1.0),
            ("2000-02-29T00:00:00Z", 951_782_400.0),
            ("2000-03-01T00:00:00Z", 951_868_800.0),
            ("9999-12-31T23:59:59Z", 253_402_300_799.0),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut expected = -719_528;
        for year in 0..2_800 {
            for month in 1..=12 {
                for day in 1..=days_of(year, month).unwrap() {
                    assert_eq!(
                        days_since_epoch(year, month, day),
                        expected,
                        "{year}-{month}-{day}"
                    );
                    expected += 1;
                }
            }
        }
    }

    #[test]
    fn what_is_no_time_with_an_offset_states_nothing() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T12:00:00",
            "2026-11-21T12Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T12:60:00Z",
            "2026-11-21T12:00:61Z",
            "2026-13-21T12:00:00Z",
            "2026-00-21T12:00:00Z",
            "2026-11-31T12:00:00Z",
            "2026-11-00T12:00:00Z",
            "2026-02-29T12:00:00Z",
            "1900-02-29T12:00:00Z",
            "2026-11-21T12:00:00.Z",
            "2026-11-21T12:00:00+24:00",
            "2026-11-21T12:00:00+02:60",
            "2026-11-21T12:00:00+02:",
            "2026-11-21T12:00:00+2",
            "2026-11-21T12:00:00ZZ",
            "2026-11-21T12:00:00 CET",
            "2026-11-21T12:00:00 UTC+1",
            "2026-11-21T12:00:00[Europe/Berlin]",
            "2026-11-21T12:00:00Z[UTC",
            "2026-11-21T12:00:00Z UTC]",
            "26-11-21T12:00:00Z",
            "+2026-11-21T12:00:00Z",
            "2026-1é-21T12:00:00Z",
            "1795262400",
            "Sat, 21 Nov 2026 12:00:00 GMT",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
