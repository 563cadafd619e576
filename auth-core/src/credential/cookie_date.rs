//! The dates of cookies, parsed as a user agent parses them (RFC 6265, section 5.1.1).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// The time that a cookie's `Expires` names. A time before the Unix epoch becomes the epoch.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        // Each field is the first token of its form. The forms are tried in this order.
        let _taken = (time.is_none() && set(&mut time, time_of(token)))
            || (day.is_none() && set(&mut day, number(token, 1, 2)))
            || (month.is_none() && set(&mut month, month_of(token)))
            || (year.is_none() && set(&mut year, number(token, 2, 4)));
    }
    let (hour, minute, second) = time?;
    let year = match year? {
        year @ 0..=69 => year + 2000,
        year @ 70..=99 => year + 1900,
        year => year,
    };
    let (day, month) = (day?, month?);
    let valid = (1..=31).contains(&day) && year >= 1601 && hour <= 23 && minute <= 59;
    if !valid || second > 59 {
        return None;
    }
    let (year_after, month_after) = (year + month / 12, month % 12 + 1);
    let days = days_since_epoch(year, month, day);
    if days >= days_since_epoch(year_after, month_after, 1) {
        return None;
    }
    let seconds = days * 86_400 + i64::from(hour * 3_600 + minute * 60 + second);
    let seconds = u64::try_from(seconds).unwrap_or(0);
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn set<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    *slot = value;
    slot.is_some()
}

const fn is_delimiter(letter: char) -> bool {
    matches!(letter, '\t' | ' '..='/' | ';'..='@' | '['..='`' | '{'..='~')
}

/// The number that a token begins with, if it has `least` to `most` digits. What follows the digits
/// is ignored.
fn number(token: &str, least: usize, most: usize) -> Option<u32> {
    let digits = token.bytes().take_while(u8::is_ascii_digit).count();
    if !(least..=most).contains(&digits) {
        return None;
    }
    token[..digits].parse().ok()
}

fn time_of(token: &str) -> Option<(u32, u32, u32)> {
    let mut fields = token.splitn(3, ':');
    let (hour, minute, second) = (fields.next()?, fields.next()?, fields.next()?);
    let whole = |field: &str| field.bytes().all(|byte| byte.is_ascii_digit());
    if !whole(hour) || !whole(minute) {
        return None;
    }
    Some((
        number(hour, 1, 2)?,
        number(minute, 1, 2)?,
        number(second, 1, 2)?,
    ))
}

fn month_of(token: &str) -> Option<u32> {
    let name = token.get(..3)?.to_ascii_lowercase();
    let index = MONTHS.iter().position(|month| *month == name)?;
    u32::try_from(index + 1).ok()
}

/// The days from 1970-01-01 in the Gregorian calendar.
fn days_since_epoch(year: u32, month: u32, day: u32) -> i64 {
    // From 0000-03-01 to 1970-01-01.
    const TO_EPOCH: i64 = 719_468;
    // In a year that begins in March, the leap day is the last day.
    let (year, month) = if month > 2 {
        (i64::from(year), month - 3)
    } else {
        (i64::from(year) - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    // The days before each month, counted from March: 0, 31, 61, 92, …
    let before_month = i64::from((153 * month + 2) / 5);
    365 * year + leap_days + before_month + i64::from(day) - 1 - TO_EPOCH
}
