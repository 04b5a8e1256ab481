//! The status page in a real browser: it is shown as it should be, in light and in dark, and nothing of it is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use restante_admin::{AdminLimits, CertificateFacts, Health};
use restante_testkit::require;
use tempfile::TempDir;
use tokio::process::Command;

use crate::serving::Served;
use crate::world::{SystemClockNow, World, storage};

/// Where pictures are left to be looked at, if it is set.
const KEEP: &str = "RESTANTE_PICTURES";

/// Widths of windows: of a desk, and the least that the browser has.
const WIDE: u32 = 1000;
const NARROW: u32 = 500;

struct Browser {
    program: PathBuf,
    profile: TempDir,
}

impl Browser {
    /// `None`, after a loud line, where there is no browser.
    fn find() -> Option<Self> {
        Some(Self {
            program: require::program("chromium", "chromium")?,
            profile: TempDir::new().unwrap(),
        })
    }

    async fn run(&self, what: &[&str], url: &str) -> Output {
        let mut command = Command::new(&self.program);
        command
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--disable-background-networking",
                "--hide-scrollbars",
                "--enable-logging=stderr",
                "--v=0",
            ])
            .arg(format!("--user-data-dir={}", self.profile.path().display()))
            .args(what)
            .arg(url)
            .kill_on_drop(true);
        let run = tokio::time::timeout(Duration::from_mins(2), command.output());
        let output = run.await.expect("the browser ends").unwrap();
        assert!(output.status.success(), "{output:?}");
        output
    }

    async fn picture(&self, url: &str, dark: bool, width: u32, name: &str) -> Picture {
        let file = self.profile.path().join(name);
        let shot = format!("--screenshot={}", file.display());
        let scheme = format!("--blink-settings=preferredColorScheme={}", i32::from(!dark));
        let size = format!("--window-size={width},1500");
        self.run(&[&shot, &scheme, &size], url).await;
        if let Some(folder) = std::env::var_os(KEEP) {
            std::fs::copy(&file, Path::new(&folder).join(name)).unwrap();
        }
        Picture::read(&file, width)
    }
}

/// How often each colour is there.
struct Picture(BTreeMap<[u8; 3], usize>);

impl Picture {
    fn read(file: &Path, width: u32) -> Self {
        let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(file).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut octets = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut octets).unwrap();
        let n_samples = info.color_type.samples();
        assert!(n_samples >= 3 && info.width == width, "{info:?}");
        let mut colours = BTreeMap::new();
        for pixel in octets[..info.buffer_size()].chunks(n_samples) {
            *colours.entry([pixel[0], pixel[1], pixel[2]]).or_default() += 1;
        }
        Self(colours)
    }

    fn has(&self, colour: [u8; 3]) -> usize {
        self.0.get(&colour).copied().unwrap_or_default()
    }
}

async fn world() -> World {
    let world = World::new().await.settled().await;
    let mut cold = storage("cold", None);
    "s3".clone_into(&mut cold.kind);
    cold.health = Health::Failing("no answer within 10 s from the bucket".to_owned());
    world.facts.storages.lock().unwrap().push(cold);
    {
        let mut node = world.facts.node.lock().unwrap();
        node.as_mut().unwrap().certificates.push(CertificateFacts {
            source: "/etc/restante/old.pem".to_owned(),
            names: vec!["old.example.org".to_owned()],
            not_after: SystemClockNow::now() - Duration::from_hours(50),
        });
    }
    world
}

#[tokio::test]
async fn a_browser_shows_the_page() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let world = world().await;
    let served = Served::start(&world.service(AdminLimits::default()));
    let dump = browser.run(&["--dump-dom"], &served.url()).await;
    let (page, said) = (
        String::from_utf8(dump.stdout).unwrap(),
        String::from_utf8_lossy(&dump.stderr).into_owned(),
    );
    for text in [
        "<title>pop-1",
        "<h2>Storages</h2>",
        "<h2>Certificates</h2>",
        "no answer within 10 s",
        "ended",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    for trouble in ["Content Security Policy", "CONSOLE", "Refused to"] {
        assert!(!said.contains(trouble), "{said}");
    }

    let light = browser.picture(&served.url(), false, WIDE, "light.png").await;
    let dark = browser.picture(&served.url(), true, WIDE, "dark.png").await;
    // The grounds and the cards of the two styles, and the words upon them: neither is blank, and each is itself.
    assert!(light.has([0xf6, 0xf7, 0xf9]) > 100_000 && light.has([0xff, 0xff, 0xff]) > 100_000);
    assert!(dark.has([0x12, 0x16, 0x1b]) > 100_000 && dark.has([0x1a, 0x20, 0x27]) > 100_000);
    assert_eq!(
        (light.has([0x12, 0x16, 0x1b]), dark.has([0xf6, 0xf7, 0xf9])),
        (0, 0)
    );
    for picture in [&light, &dark] {
        assert!(
            picture.0.len() > 100,
            "{} colours: letters have many",
            picture.0.len()
        );
    }
    // What is bad is in its colour.
    assert!(light.has([0xb3, 0x26, 0x1e]) > 20 && dark.has([0xf2, 0x8b, 0x82]) > 20);

    *world.facts.unready.lock().unwrap() = vec![
        "the database is lost: no answer in 5 s".to_owned(),
        "draining".to_owned(),
    ];
    for (width, name) in [(WIDE, "alarm.png"), (NARROW, "narrow.png")] {
        let alarmed = browser.picture(&served.url(), false, width, name).await;
        assert!(
            alarmed.has([0xfb, 0xe9, 0xe7]) > 10_000,
            "the alarm has its ground in {name}"
        );
    }
}
