//! The operator's settings. A wrong value is reported, never adjusted. Pure.

use std::ops::RangeInclusive;

/// A whole number, or `default` where nothing is set.
///
/// # Errors
///
/// Which `key` of which `file` it is, and what it may be.
pub fn whole(
    (file, key): (&str, &str),
    setting: Option<&str>,
    default: u32,
    range: RangeInclusive<u32>,
) -> Result<u32, String> {
    let Some(setting) = setting else { return Ok(default) };
    setting.trim().parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        format!("`{key}` in {file} is a whole number from {} to {}", range.start(), range.end())
    })
}

/// As [`whole`], but a wrong value only adds a remark, and the default is used.
pub fn whole_or_default(
    place: (&str, &str),
    setting: Option<&str>,
    default: u32,
    range: RangeInclusive<u32>,
    remarks: &mut Vec<String>,
) -> u32 {
    whole(place, setting, default, range).unwrap_or_else(|problem| {
        remarks.push(format!("{problem}; {default} is used"));
        default
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_in_its_range_or_refused_with_the_range() {
        let read = |setting| whole(("a.toml", "pages"), setting, 10, 1..=50);
        assert_eq!(read(None), Ok(10));
        assert_eq!(read(Some("1")), Ok(1));
        assert_eq!(read(Some("50")), Ok(50));
        for bad in ["0", "51", "-1", "1.5", "", "ten", "4294967297"] {
            let refused = Err("`pages` in a.toml is a whole number from 1 to 50".to_owned());
            assert_eq!(read(Some(bad)), refused, "{bad}");
        }
    }

    #[test]
    fn a_number_that_does_not_fit_costs_only_itself() {
        let mut remarks = Vec::new();
        let mut read =
            |setting| whole_or_default(("a.toml", "pages"), setting, 10, 1..=50, &mut remarks);
        assert_eq!((read(Some(" 7 ")), read(None), read(Some("99"))), (7, 10, 10));
        assert_eq!(remarks, ["`pages` in a.toml is a whole number from 1 to 50; 10 is used"]);
    }
}
