//! From a component to code of this machine, in a process of its own: what an attacker may upload is compiled where it
//! can take neither the server's memory nor its time.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::engine::{LARGEST_COMPONENT, NativeCode, engine, precompiled};
use crate::error::InstallError;
use crate::log_gate::printable;

/// Address space of the child: an 18 MB component of a language with a large run-time needs 1.5 GB.
const MEMORY: u64 = 4 * 1024 * 1024 * 1024;
/// Seconds of computing: that component needs up to a minute.
const COMPUTING: u64 = 180;
const WALL: Duration = Duration::from_mins(10);

/// Compiles components in a child process.
#[derive(Clone, Debug)]
pub struct Compiler {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Compiler {
    /// Compiles with a program that calls [`compile_for_parent`] when it is given these arguments.
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
        }
    }

    /// Compiles a component.
    ///
    /// # Cancel safety
    /// Dropping it ends the child.
    pub(crate) async fn compile(&self, component: &[u8]) -> Result<NativeCode, InstallError> {
        if component.len() > LARGEST_COMPONENT {
            return Err(InstallError::TooLarge(component.len()));
        }
        let failed = |error: std::io::Error| InstallError::Compiler(error.to_string());
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (Some(mut stdin), Some(mut stdout), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(InstallError::Compiler("the child has no pipes".to_owned()));
        };
        let (mut code, mut said) = (Vec::new(), Vec::new());
        let running = async {
            let feed = async {
                // A child that has ended early says why itself.
                stdin.write_all(component).await.ok();
                drop(stdin);
                Ok(())
            };
            tokio::try_join!(feed, stdout.read_to_end(&mut code), stderr.read_to_end(&mut said))?;
            child.wait().await
        };
        let ended = tokio::time::timeout(WALL, running)
            .await
            .map_err(|_| InstallError::Compiler(format!("it takes longer than {WALL:?}")))?
            .map_err(failed)?;
        if ended.success() {
            return Ok(NativeCode(code));
        }
        let said = printable(String::from_utf8_lossy(&said).trim(), 500);
        Err(match ended.code() {
            Some(code) if code == i32::from(REFUSED) => InstallError::NotAComponent(said),
            _ => InstallError::Compiler(format!(
                "the compiler ended ({ended}): it may take {COMPUTING} s of computing and {} GiB of memory {said}",
                MEMORY >> 30
            )),
        })
    }
}

/// How the child ends when the component is at fault.
const REFUSED: u8 = 3;

/// The child's side: takes a component from standard input, writes code to standard output, and answers how to end. To
/// be called before anything else is done in the process; it takes away most of what the process may use.
#[expect(clippy::print_stderr, reason = "what the parent reads")]
pub fn compile_for_parent() -> u8 {
    match compile_here() {
        Ok(()) => 0,
        Err(InstallError::NotAComponent(why)) => {
            eprintln!("{why}");
            REFUSED
        }
        Err(error) => {
            eprintln!("{error}");
            1
        }
    }
}

fn compile_here() -> Result<(), InstallError> {
    let failed = |error: std::io::Error| InstallError::Compiler(error.to_string());
    for (resource, limit) in [
        (Resource::As, MEMORY),
        (Resource::Cpu, COMPUTING),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Nofile, 16),
    ] {
        let limit = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        setrlimit(resource, limit).map_err(|error| failed(error.into()))?;
    }
    // Sessions come first; where the system does not let itself be asked, they share.
    nice(10).ok();
    let mut component = Vec::new();
    std::io::stdin()
        .take(LARGEST_COMPONENT as u64 + 1)
        .read_to_end(&mut component)
        .map_err(failed)?;
    let code = precompiled(&engine()?, &component)?;
    std::io::stdout().write_all(&code).map_err(failed)
}
