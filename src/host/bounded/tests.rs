use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::mount::MsFlags;

use super::*;
use crate::host::live::Live;
use crate::host::{SystemReader, SystemWriter};

const SHORT: Duration = Duration::from_millis(100);

fn sleeps(mount: &str, time: Duration) -> HostResult<()> {
    detached("stat", Path::new("/x"), mount.into(), SHORT, move |_| {
        std::thread::sleep(time);
        Ok(())
    })
}

#[test]
fn call_that_does_not_return_is_given_up_and_not_repeated_on_its_mount() {
    let begun = Instant::now();
    let errno = |result: HostResult<()>| result.unwrap_err().errno();
    assert_eq!(errno(sleeps("/test/a", Duration::from_secs(2))), Errno::ETIMEDOUT);
    assert!(begun.elapsed() >= SHORT);
    let again = Instant::now();
    assert_eq!(errno(sleeps("/test/a", Duration::ZERO)), Errno::ETIMEDOUT);
    assert!(again.elapsed() < SHORT, "it is not tried while the first still waits");
    assert_eq!(sleeps("/test/b", Duration::ZERO), Ok(()));
    std::thread::sleep(Duration::from_millis(2200).saturating_sub(begun.elapsed()));
    assert_eq!(sleeps("/test/a", Duration::ZERO), Ok(()), "the first has returned");
}

#[test]
fn error_of_the_call_is_passed_on() {
    let failed = |path: &Path| Err::<(), _>(HostError::new("stat", path, Errno::EACCES));
    let error = detached("stat", Path::new("/x"), "/test/c".into(), SHORT, failed).unwrap_err();
    assert_eq!(error.errno(), Errno::EACCES);
}

/// A FUSE file system that nobody serves, on a directory, in the mount namespace of this thread alone.
pub(in crate::host) fn dead_mount(at: &Path) -> std::fs::File {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    let mount = |source: Option<&str>, target, fstype: Option<&str>, flags: MsFlags, data: Option<&str>| {
        let [source, fstype, data] = [source, fstype, data].map(|text| text.map(ToOwned::to_owned));
        let call = crate::host::MountCall { source, target, fstype, flags: flags.bits(), data };
        Live::default().mount(&call).unwrap();
    };
    mount(none, "/".into(), none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none);
    let server = std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").unwrap();
    let data = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
    mount(Some("dead"), at.to_owned(), Some("fuse"), MsFlags::empty(), Some(&data));
    server
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn every_look_at_a_dead_mount_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (at, done) = (dir.path().to_owned(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let server = dead_mount(&at);
            let link = Path::new("/tmp").join(format!("dindcheck-link-{}", std::process::id()));
            std::os::unix::fs::symlink(at.join("x"), &link).unwrap();
            let (host, path, begun) = (Live::default(), at.join("x"), Instant::now());
            let errnos = [
                host.stat(&path).map(drop),
                host.lstat(&path).map(drop),
                host.read(&path).map(drop),
                host.list(&at).map(drop),
                host.statfs(&path).map(drop),
                host.read_link(&path).map(drop),
                host.connect(&path),
                host.run(&path, &[], DEADLINE).map(drop),
            ]
            .map(|result| result.unwrap_err().errno());
            assert_eq!(errnos, [Errno::ETIMEDOUT; 8]);
            assert!(begun.elapsed() < DEADLINE * 2, "one deadline for the mount: {:?}", begun.elapsed());
            assert_eq!(host.read(&link).unwrap_err().errno(), Errno::ETIMEDOUT, "through a link");
            assert!(host.stat(Path::new("/etc")).is_ok());
            host.remove_file(&link).unwrap();
            drop(server);
            host.unmount(&at).unwrap();
            done.store(true, Ordering::Relaxed);
        });
    });
    assert!(done.load(Ordering::Relaxed));
}
