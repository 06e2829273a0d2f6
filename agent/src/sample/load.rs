//! `/proc/loadavg`.

use super::Trouble;
use super::data::Load;
use super::read::{Files, Nonsense, lines, number};

const PATH: &str = "/proc/loadavg";

pub(super) fn read(files: &mut Files, troubles: &mut Vec<Trouble>) -> Option<Load> {
    let text = files.text(PATH, troubles)?;
    lines(PATH, &text, 0, troubles, parse).pop()
}

fn parse(line: &str) -> Result<Option<Load>, Nonsense> {
    let mut fields = line.split_ascii_whitespace();
    let mut average = |name| match number(&mut fields, name)? {
        average if f64::is_finite(average) && average >= 0.0 => Ok(average),
        other => Err(Nonsense(format!("{name} is {other}"))),
    };
    Ok(Some(Load {
        one: average("the first average")?,
        five: average("the second average")?,
        fifteen: average("the third average")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_keep_their_digits_and_have_to_be_numbers() {
        assert_eq!(
            parse("0.12 20.00 3.5 1/89 4711"),
            Ok(Some(Load {
                one: 0.12,
                five: 20.0,
                fifteen: 3.5
            }))
        );
        for bad in ["", "1 2", "nan 1 1", "inf 1 1", "-1 0 0", "x 1 1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
