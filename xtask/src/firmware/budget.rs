//! The budgets of images and of cores, from `firmware/budgets.toml`.

use crate::environment::repo::{Failure, Repo};

/// A budget, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Flash.
    pub(crate) flash: u64,
    /// RAM for static data.
    pub(crate) ram: u64,
    /// RAM for the stack at its deepest.
    pub(crate) stack: u64,
}

impl Budget {
    /// The budget of the board of this name.
    pub(crate) fn of(repo: &Repo, board: &str) -> Result<Self, Failure> {
        let path = repo.root.join("firmware/budgets.toml");
        let text = std::fs::read_to_string(&path).map_err(Failure::at(path.display()))?;
        Self::parse(&text, board)
    }

    /// Instructions that the processor core of this name may take for a server's answer to a handshake.
    pub(crate) fn of_answer(repo: &Repo, core: &str) -> Result<u64, Failure> {
        let path = repo.root.join("firmware/budgets.toml");
        let text = std::fs::read_to_string(&path).map_err(Failure::at(path.display()))?;
        let table: toml::Table = text.parse().map_err(Failure::at("firmware/budgets.toml"))?;
        let budget =
            table.get("answer").and_then(|answers| answers.get(core)).and_then(toml::Value::as_integer);
        budget.and_then(|budget| u64::try_from(budget).ok()).ok_or_else(|| {
            Failure(format!("firmware/budgets.toml: [answer] has no number of instructions for {core:?}"))
        })
    }

    fn parse(text: &str, board: &str) -> Result<Self, Failure> {
        let failed = |what: &str| Failure(format!("firmware/budgets.toml: {what}"));
        let table: toml::Table = text.parse().map_err(Failure::at("firmware/budgets.toml"))?;
        let of_board = table.get(board).and_then(toml::Value::as_table);
        let of_board = of_board.ok_or_else(|| failed(&format!("no section [{board}]")))?;
        let number = |name: &str| {
            let number = of_board.get(name).and_then(toml::Value::as_integer);
            let number = number.and_then(|number| u64::try_from(number).ok());
            number.ok_or_else(|| failed(&format!("[{board}] has no number of bytes for {name:?}")))
        };
        Ok(Self { flash: number("flash")?, ram: number("static-ram")?, stack: number("stack")? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::board::BOARDS;
    use super::*;

    #[test]
    fn every_board_has_a_budget() {
        for board in BOARDS {
            Budget::of(&Repo::here(), board.name).unwrap();
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let whole = "[b]\nflash = 1\nstatic-ram = 2\nstack = 3\n";
        assert_eq!(Budget::parse(whole, "b").unwrap(), Budget { flash: 1, ram: 2, stack: 3 });
        assert!(Budget::parse(whole, "c").unwrap_err().0.contains("no section [c]"));
        for bad in ["flash = -1", "flash = \"1\"", "flush = 1"] {
            let failure = Budget::parse(&whole.replace("flash = 1", bad), "b").unwrap_err().0;
            assert!(failure.contains("\"flash\""), "{failure}");
        }
        assert!(Budget::parse("[b", "b").is_err());
    }
}
