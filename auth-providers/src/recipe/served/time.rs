//! Times as an answer states them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::recipe::schema::Unit;

/// The end of a life that begins now, or how long it is. Seconds and minutes are rounded up.
pub(super) fn stated(life: Duration, unit: Unit, now: SystemTime) -> Value {
    let whole = |time: Duration, unit: u128| {
        let units = time.as_millis().div_ceil(unit);
        Value::from(u64::try_from(units).unwrap_or(u64::MAX))
    };
    let end = now + life;
    let since_1970 = end.duration_since(UNIX_EPOCH).unwrap_or_default();
    match unit {
        Unit::S => whole(life, 1_000),
        Unit::Ms => whole(life, 1),
        Unit::Min => whole(life, 60_000),
        Unit::Epoch => whole(since_1970, 1_000),
        Unit::EpochMs => whole(since_1970, 1),
        Unit::HttpDate => httpdate::fmt_http_date(end).into(),
        Unit::Iso8601 => format!("{}Z", iso_8601(end)).into(),
        Unit::Iso8601Utc => iso_8601(end).into(),
    }
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// In UTC and in whole seconds, without an offset.
fn iso_8601(time: SystemTime) -> String {
    // "Sat, 21 Nov 2026 12:00:00 GMT"
    let text = httpdate::fmt_http_date(time);
    let words: Vec<&str> = text.split(' ').collect();
    let [_, day, month, year, time, _] = words[..] else {
        unreachable!("a date has six words");
    };
    let month = MONTHS.iter().position(|name| *name == month);
    let month = month.unwrap_or_default() + 1;
    format!("{year}-{month:02}-{day}T{time}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iso_8601::parse;

    #[test]
    fn a_time_is_stated_in_each_unit() {
        let now = UNIX_EPOCH + Duration::from_secs(1_766_000_000);
        let life = Duration::from_millis(90_500);
        let stated = |unit| stated(life, unit, now);
        assert_eq!(stated(Unit::S), 91);
        assert_eq!(stated(Unit::Ms), 90_500);
        assert_eq!(stated(Unit::Min), 2);
        assert_eq!(stated(Unit::Epoch), 1_766_000_091_u64);
        assert_eq!(stated(Unit::EpochMs), 1_766_000_090_500_u64);
        assert_eq!(stated(Unit::Iso8601), "2025-12-17T19:34:50Z");
        assert_eq!(stated(Unit::Iso8601Utc), "2025-12-17T19:34:50");
        assert_eq!(stated(Unit::HttpDate), "Wed, 17 Dec 2025 19:34:50 GMT");
        let read = parse(stated(Unit::Iso8601).as_str().unwrap());
        assert_eq!(read, Some(now + Duration::from_secs(90)));
    }
}
