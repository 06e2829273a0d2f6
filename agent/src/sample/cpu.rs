//! `/proc/stat`: what the processors did with their time.

use super::Trouble;
use super::data::{Cpu, Ticks};
use super::read::{Files, Nonsense, lines, number};

const PATH: &str = "/proc/stat";

/// Whose line it is.
enum Whose {
    All,
    Core(u32),
}

pub(super) fn read(files: &mut Files, per_core: bool, troubles: &mut Vec<Trouble>) -> Option<Cpu> {
    let text = files.text(PATH, troubles)?;
    parse(&text, per_core, troubles)
}

fn parse(text: &str, per_core: bool, troubles: &mut Vec<Trouble>) -> Option<Cpu> {
    // Their lines come first, and what follows may be long: a number for each interrupt of the machine.
    let end = text
        .lines()
        .take_while(|line| line.starts_with("cpu"))
        .map(|line| line.len() + 1)
        .sum::<usize>()
        .min(text.len());
    let before = troubles.len();
    let mut total = None;
    let mut cores = Vec::new();
    for (whose, ticks) in lines(PATH, &text[..end], 0, troubles, |line| {
        line_of(line, per_core)
    }) {
        match whose {
            Whose::All => total = Some(ticks),
            Whose::Core(number) => cores.push((number, ticks)),
        }
    }
    if total.is_none() && troubles.len() == before {
        troubles.push(Trouble::Malformed {
            path: PATH.into(),
            line: 1,
            why: "it is not that of all processors".into(),
            others: 0,
        });
    }
    Some(Cpu {
        total: total?,
        cores,
    })
}

fn line_of(line: &str, per_core: bool) -> Result<Option<(Whose, Ticks)>, Nonsense> {
    let mut fields = line.split_ascii_whitespace();
    let whose = match fields.next().and_then(|name| name.strip_prefix("cpu")) {
        Some("") => Whose::All,
        Some(_) if !per_core => return Ok(None),
        Some(number) => Whose::Core(
            number
                .parse()
                .map_err(|_| Nonsense(format!("processor {number:?}")))?,
        ),
        None => return Ok(None),
    };
    let mut next = |name| number(&mut fields, name);
    let ticks = Ticks {
        user: next("user")?,
        nice: next("nice")?,
        system: next("system")?,
        idle: next("idle")?,
        iowait: next("iowait")?,
        irq: next("irq")?,
        softirq: next("softirq")?,
        steal: next("steal")?,
        guest: next("guest")?,
        guest_nice: next("guest_nice")?,
    };
    Ok(Some((whose, ticks)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_core_keeps_its_number_when_another_is_offline() {
        let text = "cpu  4 0 0 0 0 0 0 0 0 0\ncpu0 1 0 0 0 0 0 0 0 0 0\ncpu2 3 0 0 0 0 0 0 0 0 0\nintr 5 1 2\n";
        let mut troubles = Vec::new();
        let cpu = parse(text, true, &mut troubles).unwrap();
        let numbers: Vec<u32> = cpu.cores.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [0, 2]);
        assert_eq!((cpu.total.user, cpu.cores[1].1.user), (4, 3));
        assert_eq!(troubles, []);
        assert_eq!(parse(text, false, &mut troubles).unwrap().cores, []);
    }

    #[test]
    fn a_core_that_makes_no_sense_leaves_the_others() {
        let text = "cpu  4 0 0 0 0 0 0 0 0 0\ncpu0 1 0 x 0 0 0 0 0 0 0\ncpu1 3 0 0 0 0 0 0 0 0 0\n";
        let mut troubles = Vec::new();
        let cpu = parse(text, true, &mut troubles).unwrap();
        assert_eq!(cpu.cores.len(), 1);
        assert!(
            matches!(&troubles[..], [Trouble::Malformed { line: 2, why, others: 0, .. }] if why == "system is \"x\""),
            "{troubles:?}"
        );
    }

    #[test]
    fn without_the_first_line_there_is_nothing_and_one_trouble() {
        for text in [
            "",
            "intr 1\n",
            "cpu  1 2\n",
            "cpu0 1 0 0 0 0 0 0 0 0 0\n",
            "cpu",
            "\u{fffd}",
        ] {
            let mut troubles = Vec::new();
            assert_eq!(parse(text, false, &mut troubles), None, "{text:?}");
            assert_eq!(troubles.len(), 1, "{text:?}");
        }
    }
}
