//! `tokend completions`.

use clap::{Args, Command};
use clap_complete::Shell;

use super::{failure::Failure, output::print};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend completions bash > /etc/bash_completion.d/tokend
  tokend completions zsh > ~/.zfunc/_tokend
  tokend completions fish > ~/.config/fish/completions/tokend.fish")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, mut command: Command) -> Result<(), Failure> {
        // Into memory first: the generator panics when its writer fails.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "tokend", &mut script);
        print(String::from_utf8_lossy(&script).trim_end())
    }
}
