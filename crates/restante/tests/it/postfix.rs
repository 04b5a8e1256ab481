//! A real Postfix delivers by LMTP into the running server.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use restante_testkit::{Direction, Fault, FaultProxy, free_port};
use tempfile::TempDir;

use crate::support::{Demo, PATIENCE, Pop3, Server, now, program, run, succeed};

/// A Postfix of the test's own: queue, configuration and port.
struct Postfix {
    folder: TempDir,
    program: PathBuf,
    smtp: u16,
}

impl Postfix {
    /// `None` where there is no Postfix, or nobody who may start one.
    fn start(lmtp: u16) -> Option<Self> {
        let program = program("postfix", "postfix")?;
        let postfix = Self {
            folder: tempfile::tempdir().unwrap(),
            program,
            smtp: free_port(),
        };
        let root = postfix.folder.path();
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["conf", "queue", "data"] {
            fs::create_dir(root.join(folder)).unwrap();
        }
        succeed(Command::new("chown").arg("postfix").arg(root.join("data")), b"");
        let root = root.display();
        fs::write(
            postfix.folder.path().join("conf/main.cf"),
            format!(
                "compatibility_level = 3.6\nqueue_directory = {root}/queue\ndata_directory = {root}/data\n\
                 command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\n\
                 maillog_file = {root}/queue/mail.log\nmaillog_file_prefixes = /\nmail_owner = postfix\n\
                 setgid_group = postdrop\nmyhostname = mx.test\nmydestination =\ninet_interfaces = 127.0.0.1\n\
                 inet_protocols = ipv4\nmynetworks = 127.0.0.0/8\nvirtual_mailbox_domains = demo.test\n\
                 virtual_transport = lmtp:inet:127.0.0.1:{lmtp}\nvirtual_alias_maps =\nalias_maps =\n\
                 local_recipient_maps =\nsmtputf8_enable = yes\nminimal_backoff_time = 1s\nqueue_run_delay = 1s\n"
            ),
        )
        .unwrap();
        let smtp = postfix.smtp;
        let services = [
            "pickup unix n - n 60 1 pickup",
            "cleanup unix n - n - 0 cleanup",
            "qmgr unix n - n 300 1 qmgr",
            "rewrite unix - - n - - trivial-rewrite",
            "bounce unix - - n - 0 bounce",
            "defer unix - - n - 0 bounce",
            "trace unix - - n - 0 bounce",
            "verify unix - - n - 1 verify",
            "proxymap unix - - n - - proxymap",
            "lmtp unix - - n - - lmtp",
            "error unix - - n - - error",
            "retry unix - - n - - error",
            "anvil unix - - n - 1 anvil",
            "scache unix - - n - 1 scache",
            "postlog unix-dgram n - n - 1 postlogd",
        ];
        let master = format!("127.0.0.1:{smtp} inet n - n - - smtpd\n{}\n", services.join("\n"));
        fs::write(postfix.folder.path().join("conf/master.cf"), master).unwrap();
        succeed(&mut postfix.command("start"), b"");
        Some(postfix)
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.folder.path().join("conf")).arg(verb);
        command
    }

    /// Hands a message in by SMTP.
    fn submit(&self, recipients: &[&str], message: &[u8]) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(message).unwrap();
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "60", "--url"]);
        command
            .arg(format!("smtp://127.0.0.1:{}", self.smtp))
            .args(["--mail-from", "sender@example.org"]);
        for recipient in recipients {
            command.args(["--mail-rcpt", recipient]);
        }
        succeed(command.arg("--upload-file").arg(file.path()), b"");
    }

    /// Waits until the log has `n` lines with `text`.
    fn wait_for(&self, text: &str, n: usize) {
        let until = now() + PATIENCE;
        loop {
            let log = fs::read_to_string(self.folder.path().join("queue/mail.log")).unwrap_or_default();
            if log.matches(text).count() >= n {
                return;
            }
            assert!(now() < until, "no {n} of {text:?} in\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        run(&mut self.command("stop"), b"");
    }
}

#[test]
fn postfix_delivers_and_clients_read_what_it_sent() {
    let demo = Demo::start();
    if program("curl", "curl").is_none() {
        return;
    }
    let Some(postfix) = Postfix::start(demo.lmtp) else {
        return;
    };
    demo.empty("bob");
    let bodies: [&[u8]; 4] = [
        b"plain\r\n",
        b".\r\n..\r\n.leading dots\r\n",
        "acht Bit: Gr\u{fc}\u{df}e\r\n".as_bytes(),
        b"no line end at the end",
    ];
    for (nth, body) in bodies.iter().enumerate() {
        let head = format!("From: sender@example.org\r\nTo: bob@demo.test\r\nSubject: number {nth}\r\n\r\n");
        postfix.submit(&["bob@demo.test"], &[head.as_bytes(), body].concat());
        postfix.wait_for("status=sent", nth + 1);
    }
    let mut pop3 = demo.log_in("bob");
    assert_eq!(pop3.stat().0, bodies.len());
    let sizes = pop3.listing("LIST");
    for (nth, body) in bodies.iter().enumerate() {
        let message = pop3.retr(nth + 1);
        let expected = [body.strip_suffix(b"\r\n").unwrap_or(body), b"\r\n"].concat();
        assert!(
            message.ends_with(&[b"\r\n\r\n", expected.as_slice()].concat()),
            "{nth}: {message:?}"
        );
        assert_eq!(
            sizes[nth],
            format!("{} {}", nth + 1, message.len()),
            "LIST is the octets of RETR"
        );
    }
}

#[test]
fn postfix_learns_of_each_recipient_by_its_own_reply() {
    let demo = Demo::start();
    if program("curl", "curl").is_none() {
        return;
    }
    let Some(postfix) = Postfix::start(demo.lmtp) else {
        return;
    };
    demo.empty("bob");
    let message = b"From: s@example.org\r\nSubject: three\r\n\r\nhello\r\n";
    postfix.submit(&["bob@demo.test", "nobody@demo.test", "alice@demo.test"], message);
    postfix.wait_for("status=sent", 2);
    postfix.wait_for("status=bounced", 1);
    postfix.wait_for("550 5.1.1", 1);
    assert_eq!(demo.log_in("bob").stat().0, 1);
    assert_eq!(demo.log_in("alice").stat().0, 13);
}

#[test]
fn many_messages_over_reused_connections_arrive_once_each() {
    let demo = Demo::start();
    if program("curl", "curl").is_none() {
        return;
    }
    let Some(postfix) = Postfix::start(demo.lmtp) else {
        return;
    };
    demo.empty("bob");
    let mut pop3 = demo.log_in("bob");
    let mut command = Command::new("smtp-source");
    command.args([
        "-m",
        "100",
        "-s",
        "4",
        "-f",
        "s@example.org",
        "-t",
        "bob@demo.test",
    ]);
    succeed(command.arg(format!("inet:127.0.0.1:{}", postfix.smtp)), b"");
    postfix.wait_for("status=sent", 100);
    assert_eq!(pop3.stat().0, 0, "an open session sees the maildrop as it was");
    pop3.ok("QUIT");
    assert_eq!(demo.log_in("bob").stat().0, 100);
}

/// PROMISES.md section 4.2: the sender never gets our `250` and sends again. Two by default; one where that is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_250_was_lost_comes_twice_unless_repeats_are_known() {
    for (setting, second_reply, n_messages) in [
        ("", "250 2.0.0 delivered)", 2),
        ("[lmtp]\ndeduplicate = true\n", "250 2.0.0 delivered before)", 1),
    ] {
        let demo = Demo::stopped();
        if program("curl", "curl").is_none() {
            return;
        }
        let listeners = "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"lmtp\"\n\
                         [[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"pop3s\"\n";
        let server = Server::start(&demo, listeners, setting);
        let proxy = FaultProxy::to(([127, 0, 0, 1], server.ports[0]).into()).await;
        let Some(postfix) = Postfix::start(proxy.address().port()) else {
            return;
        };
        proxy.set_once(Direction::ToClient, Fault::CutBefore(b" delivered\r\n".to_vec()));
        postfix.submit(&["bob@demo.test"], b"Subject: once\r\n\r\nhello\r\n");
        postfix.wait_for("status=deferred", 1);
        postfix.wait_for(second_reply, 1);
        // Another message with the same text is another entry of the queue.
        postfix.submit(&["bob@demo.test"], b"Subject: once\r\n\r\nhello\r\n");
        postfix.wait_for("250 2.0.0 delivered)", if n_messages == 2 { 2 } else { 1 });
        let mut pop3 = Pop3::connect(server.ports[1], &server.certificate());
        pop3.try_login("bob@demo.test", &demo.password("bob"));
        let (welcome, other) = (1, 1);
        assert_eq!(pop3.stat().0, welcome + n_messages + other, "{setting}");
    }
}
