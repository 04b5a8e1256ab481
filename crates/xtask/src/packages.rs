//! Real clients and servers that the tests talk to: Debian packages, installed when that is allowed.
//!
//! It starts nothing: each test starts what it needs, on loopback, and ends it. Start at [`ensure`].

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::shell::{Workspace, find_program, output, succeed};

/// A program the tests run, or a file they need, and the Debian package it comes in.
struct Need {
    program: &'static str,
    package: &'static str,
}

const NEEDS: [Need; 24] = [
    Need {
        program: "curl",
        package: "curl",
    },
    Need {
        program: "fetchmail",
        package: "fetchmail",
    },
    Need {
        program: "mpop",
        package: "mpop",
    },
    Need {
        program: "getmail",
        package: "getmail6",
    },
    Need {
        program: "postfix",
        package: "postfix",
    },
    Need {
        program: "initdb",
        package: "postgresql",
    },
    Need {
        program: "pgbouncer",
        package: "pgbouncer",
    },
    Need {
        program: "redis-server",
        package: "redis-server",
    },
    Need {
        program: "python3",
        package: "python3",
    },
    Need {
        program: "faketime",
        package: "faketime",
    },
    Need {
        program: "chromium",
        package: "chromium",
    },
    Need {
        program: "haproxy",
        package: "haproxy",
    },
    Need {
        program: "nginx",
        package: "nginx-light",
    },
    Need {
        program: "/usr/lib/nginx/modules/ngx_stream_module.so",
        package: "libnginx-mod-stream",
    },
    Need {
        program: "promtool",
        package: "prometheus",
    },
    Need {
        program: "amtool",
        package: "prometheus-alertmanager",
    },
    Need {
        program: "systemd-analyze",
        package: "systemd",
    },
    Need {
        program: "shellcheck",
        package: "shellcheck",
    },
    Need {
        program: "openssl",
        package: "openssl",
    },
    Need {
        program: "/usr/lib/python3/dist-packages/yaml/__init__.py",
        package: "python3-yaml",
    },
    Need {
        program: "pip3",
        package: "python3-pip",
    },
    Need {
        program: "go",
        package: "golang-go",
    },
    Need {
        program: "/usr/share/gocode/src/github.com/Masterminds/sprig/functions.go",
        package: "golang-github-masterminds-sprig-dev",
    },
    Need {
        program: "/usr/share/gocode/src/sigs.k8s.io/yaml/yaml.go",
        package: "golang-k8s-sigs-yaml-dev",
    },
];

/// Makes sure that every program is there.
pub(crate) fn ensure(workspace: &Workspace) -> anyhow::Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    if find_program("apt-get").is_none() || !is_root(workspace) {
        bail!("{}", how_to_install(&missing));
    }
    install(workspace, &missing)?;
    let still = self::missing();
    if !still.is_empty() {
        bail!("installed, and still not found: {}", programs(&still));
    }
    Ok(())
}

fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !need.is_here()).collect()
}

impl Need {
    fn is_here(&self) -> bool {
        if self.program.starts_with('/') {
            Path::new(self.program).is_file()
        } else {
            find_program(self.program).is_some()
        }
    }
}

fn is_root(workspace: &Workspace) -> bool {
    output(workspace.program("id").arg("-u")).is_ok_and(|id| id.trim_ascii() == b"0")
}

fn install(workspace: &Workspace, missing: &[&Need]) -> anyhow::Result<()> {
    println!("test: installing {}", packages(missing));
    let _nothing_starts = ServicesStayDown::begin()?;
    succeed(workspace.program("apt-get").args(["-qq", "update"]))?;
    let mut install = workspace.program("apt-get");
    install.args(["-qq", "install", "-y", "--no-install-recommends"]);
    install.args(missing.iter().map(|need| need.package));
    succeed(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

fn how_to_install(missing: &[&Need]) -> String {
    let (programs, packages) = (programs(missing), packages(missing));
    format!(
        "the tests need programs that are not here: {programs}\n  on Debian or Ubuntu: sudo apt-get install -y \
         --no-install-recommends {packages}\n  then run `cargo xtask test` again (as root it installs them itself)"
    )
}

fn programs(needs: &[&Need]) -> String {
    needs
        .iter()
        .map(|need| need.program)
        .collect::<Vec<_>>()
        .join(", ")
}

fn packages(needs: &[&Need]) -> String {
    needs
        .iter()
        .map(|need| need.package)
        .collect::<Vec<_>>()
        .join(" ")
}

/// While it lives, installing a package starts no daemon (Debian's `policy-rc.d`). What was there comes back.
struct ServicesStayDown {
    file: PathBuf,
    before: Option<(Vec<u8>, fs::Permissions)>,
}

impl ServicesStayDown {
    fn begin() -> anyhow::Result<Self> {
        Self::begin_at(PathBuf::from("/usr/sbin/policy-rc.d"))
    }

    fn begin_at(file: PathBuf) -> anyhow::Result<Self> {
        let before = match fs::metadata(&file) {
            Ok(metadata) => Some((fs::read(&file)?, metadata.permissions())),
            Err(_) => None,
        };
        fs::write(&file, "#!/bin/sh\nexit 101\n").with_context(|| file.display().to_string())?;
        let guard = Self { file, before };
        fs::set_permissions(&guard.file, fs::Permissions::from_mode(0o755))?;
        Ok(guard)
    }

    fn restore(&self) -> std::io::Result<()> {
        match &self.before {
            None => fs::remove_file(&self.file),
            Some((text, permissions)) => {
                fs::write(&self.file, text)?;
                fs::set_permissions(&self.file, permissions.clone())
            }
        }
    }
}

impl Drop for ServicesStayDown {
    fn drop(&mut self) {
        if let Err(fault) = self.restore() {
            eprintln!("xtask: {} could not be restored: {fault}", self.file.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_programs_and_the_command_that_installs_them() {
        let text = how_to_install(&[&NEEDS[3], &NEEDS[4]]);
        assert!(text.contains("not here: getmail, postfix"), "{text}");
        assert!(
            text.contains("apt-get install -y --no-install-recommends getmail6 postfix"),
            "{text}"
        );
    }

    #[test]
    fn policy_file_is_gone_afterwards_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy-rc.d");
        drop(ServicesStayDown::begin_at(file.clone()).unwrap());
        assert!(!file.exists());

        fs::write(&file, "mine").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let guard = ServicesStayDown::begin_at(file.clone()).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"#!/bin/sh\nexit 101\n");
        drop(guard);
        assert_eq!(fs::read(&file).unwrap(), b"mine");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
