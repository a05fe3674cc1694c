use super::*;

#[test]
fn a_run_directory_keeps_its_record_and_is_removed_with_its_home() {
    let temp = tempfile::tempdir().unwrap();
    let home = temp.path().join("home");
    let dir = RunDir::make_in(&home, "cafe", &()).unwrap();
    dir.save(&vec![1, 2]).unwrap();
    assert_eq!(dir.load::<Vec<i32>>(), Some(vec![1, 2]));
    assert_eq!(dir.load::<String>(), None);
    assert_eq!(dir.run(), "cafe");
    dir.remove().unwrap();
    assert!(!home.exists());
    dir.remove().unwrap();
}

#[test]
fn a_run_lives_as_long_as_somebody_holds_its_lock() {
    let temp = tempfile::tempdir().unwrap();
    let dir = RunDir::make_in(temp.path(), "cafe", &()).unwrap();
    let path = dir.path().to_owned();
    assert!(RunDir::take(&path).unwrap().is_none());
    // A witness: the lock outlives the one who made it, as after SIGKILL, where nothing is dropped.
    let witness = dir.shared_lock().unwrap();
    std::mem::forget(dir);
    assert!(RunDir::take(&path).unwrap().is_none());
    drop(witness);
    // The forgotten descriptor is still open in this process; a new run of another id is not affected.
    assert!(RunDir::make_in(temp.path(), "beef", &()).is_ok());
}

#[test]
fn a_run_that_ended_can_be_taken_once() {
    let temp = tempfile::tempdir().unwrap();
    let path = RunDir::make_in(temp.path(), "cafe", &()).unwrap().path().to_owned();
    let taken = RunDir::take(&path).unwrap();
    assert!(taken.is_some() && RunDir::take(&path).unwrap().is_none());
    drop(taken);
    assert!(RunDir::take(&path).unwrap().is_some());
    assert!(RunDir::take(&temp.path().join("none")).unwrap().is_none());
}

#[test]
fn a_home_that_others_may_write_to_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let home = temp.path().join("home");
    DirBuilder::new().mode(0o700).create(&home).unwrap();
    std::fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    assert_eq!(RunDir::make_in(&home, "cafe", &()).unwrap_err().errno(), Errno::EPERM);
}

#[test]
fn a_second_run_of_the_same_id_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let _first = RunDir::make_in(temp.path(), "cafe", &()).unwrap();
    assert_eq!(RunDir::make_in(temp.path(), "cafe", &()).unwrap_err().errno(), Errno::EEXIST);
}
