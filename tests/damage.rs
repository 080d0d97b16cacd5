//! Whatever happens to the file of durable states, to the store of releases, or to what was deployed and applied, what
//! is read is what was written, or an error that names what is damaged.
//!
//! Each damage is made of a seed, which is told where it fails:
//! `AIRSSYS_SEED=... cargo test -p airssys-tests --test promises damage` makes that one again.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test says so by panicking")]
#![allow(clippy::print_stdout, reason = "the seed, and what came of it")]

#[path = "damage/hosts.rs"]
mod hosts;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once};
use std::time::Duration;

use airssys_tests::deploying::{Deploying, TOPOLOGY, quick};
use airssys_tests::random::{self, Random};
use airssys_tests::{PATIENCE, shifter, told};
use airssys_wasm::command::{KeptState, RecordError, StateError, StateFile, Survey};
use airssys_wasm::deploy::{DeployOptions, Progress};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::{Draft, Store, StoreError};

/// Damages of each of the three.
const DAMAGES: u64 = 1_000;
/// What a disk writes as one piece, and what the store of states does, in bytes.
const SECTOR: usize = 512;
const PAGE: usize = 4_096;

type States = BTreeMap<Box<str>, KeptState>;
type Services = BTreeMap<String, States>;

/// The seeds to try: one that was given, or so many from one that is told.
fn seeds() -> Range<u64> {
    if let Some(seed) = random::given() {
        return seed..seed + 1;
    }
    let first = random::any();
    println!("the first seed is {first}");
    first..first + DAMAGES
}

/// Panics of threads of this process that nobody meant, also those that somebody caught.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            before(panic);
        }));
    });
}

/// One test at a time: they count panics together.
static ALONE: Mutex<()> = Mutex::new(());

/// Spoils bytes; `olds` are what the same file had before. Says how.
fn spoil(random: &mut Random, bytes: &mut Vec<u8>, olds: &[Vec<u8>]) -> &'static str {
    let length = bytes.len();
    let piece = |random: &mut Random, size: usize| {
        let at = random.index(length.div_ceil(size)) * size;
        at..(at + size).min(length)
    };
    let size = if random.index(2) == 0 { SECTOR } else { PAGE };
    match random.index(8) {
        0 => {
            bytes[random.index(length)] ^= 1 << random.index(8);
            "a bit flipped"
        }
        1 => {
            for _ in 0..=random.index(64) {
                bytes[random.index(length)] ^= 1 << random.index(8);
            }
            "bits flipped"
        }
        2 => {
            for _ in 0..=random.index(3) {
                bytes[piece(random, size)].fill(0);
            }
            "pieces zeroed"
        }
        3 => {
            bytes.truncate(if random.index(2) == 0 {
                random.index(length)
            } else {
                random.index(length / PAGE + 1) * PAGE
            });
            "cut off"
        }
        4 => {
            for _ in 0..=random.index(3) {
                let (one, other) = (piece(random, size), piece(random, size));
                let (a, b) = (bytes[one.clone()].to_vec(), bytes[other.clone()].to_vec());
                let common = a.len().min(b.len());
                bytes[one.start..one.start + common].copy_from_slice(&b[..common]);
                bytes[other.start..other.start + common].copy_from_slice(&a[..common]);
            }
            "pieces shuffled"
        }
        5 if !olds.is_empty() => {
            // Those that differ: most do not.
            let old = &olds[random.index(olds.len())];
            let differs = |at: &usize| {
                let place = *at..(*at + size).min(length);
                old.get(place.clone()).is_some_and(|old| old != &bytes[place])
            };
            let differing: Vec<usize> = (0..length).step_by(size).filter(differs).collect();
            for _ in 0..=random.index(3) {
                if differing.is_empty() {
                    break;
                }
                let at = differing[random.index(differing.len())];
                let place = at..(at + size).min(length);
                bytes[place.clone()].copy_from_slice(&old[place]);
            }
            "old copies of pieces"
        }
        6 if !olds.is_empty() => {
            bytes.clone_from(&olds[random.index(olds.len())]);
            "an old copy"
        }
        _ => {
            // The head is small, and much hangs on it.
            let at = random.index(length.min(SECTOR));
            bytes[at] = u8::try_from(random.index(256)).unwrap();
            "a byte of the head"
        }
    }
}

fn kept(round: u8, values: usize, length: usize) -> KeptState {
    let value = |at: usize| (format!("key-{at:04}").into(), format!("{round}:{at}:{}", "x".repeat(length)).into());
    KeptState { values: (0..values).map(value).collect(), commits: u64::from(round) + 1, schema: 3 }
}

/// What there is after so many rounds.
fn services(round: u8) -> Services {
    let carts = (0..40).map(|actor| (format!("actor-{actor}").into(), kept(round, 3, 20)));
    let of = |states: States| states;
    BTreeMap::from([
        ("blobs".to_owned(), of(BTreeMap::from([("".into(), kept(round, 3, 9_000))]))),
        ("carts".to_owned(), carts.collect()),
        ("ledger".to_owned(), BTreeMap::from([("".into(), kept(round, 100, 30))])),
        ("quiet".to_owned(), BTreeMap::from([("".into(), kept(0, 5, 10))])),
    ])
}

/// A file as a host left it.
struct Base {
    name: &'static str,
    bytes: Vec<u8>,
    mark: Vec<u8>,
    olds: Vec<Vec<u8>>,
}

/// What a host that was stopped leaves, and one that was killed; the states are in this schema.
fn bases(folder: &Path, schema: u32) -> [Base; 2] {
    let path = StateFile::path(folder);
    let mark = path.with_extension("mark");
    let file = StateFile::open(folder).unwrap();
    let mut olds = Vec::new();
    let rounds = 6;
    for round in 0..=rounds {
        for (service, mut states) in services(round) {
            states.values_mut().for_each(|kept| kept.schema = schema);
            file.replace(&service, &states).unwrap();
            if round < rounds {
                olds.push(fs::read(&path).unwrap());
            }
        }
    }
    let read = |name, olds| Base { name, bytes: fs::read(&path).unwrap(), mark: fs::read(&mark).unwrap(), olds };
    let killed = read("killed", olds.clone());
    drop(file);
    [killed, read("stopped", olds)]
}

/// A data folder of which the file of states is spoiled.
struct Spoiled {
    folder: tempfile::TempDir,
    path: PathBuf,
    /// What the file has.
    bytes: Vec<u8>,
    /// What it was made of, and what became of that.
    base: &'static str,
    what: &'static str,
    /// All of it, to be told where a test fails.
    how: String,
}

/// The same for the same seed.
fn spoiled(seed: u64, bases: &[Base; 2]) -> Spoiled {
    let mut random = Random::of(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = StateFile::path(folder.path());
    fs::create_dir(path.parent().unwrap()).unwrap();
    let Base { name, bytes, mark, olds } = &bases[random.index(2)];
    let mut bytes = bytes.clone();
    let what = spoil(&mut random, &mut bytes, olds);
    let how = format!("AIRSSYS_SEED={seed}, {name}, {what}");
    fs::write(&path, &bytes).unwrap();
    fs::write(path.with_extension("mark"), mark).unwrap();
    Spoiled { folder, path, bytes, base: name, what, how }
}

/// What was read is what was written, or is named.
fn same_or_named(expected: &Services, survey: &Survey, folder: &Path, how: &str) {
    for (service, states) in expected {
        if survey.states.get(service) != Some(states) {
            let named = survey.check(service, folder);
            let is_named = matches!(named, Err(StateError::Damaged { .. }));
            assert!(is_named, "{how}: {service} is not what it was, only {:?}", survey.damage);
        }
    }
    for service in survey.states.keys().filter(|service| !expected.contains_key(*service)) {
        assert!(survey.check(service, folder).is_err(), "{how}: there never was {service:?}");
    }
}

/// Whether the error says what is wrong with which file.
fn is_told(error: &StateError) -> bool {
    matches!(error, StateError::Damaged { .. } | StateError::OlderCopy { .. } | StateError::NewerFormat { .. })
        && error.to_string().contains("state.redb")
        && error.hint().is_some_and(|hint| !hint.is_empty())
}

#[test]
fn durable_state_is_what_was_written_or_an_error_that_names_what_is_damaged() {
    let _alone = ALONE.lock().unwrap();
    count_panics();
    let expected = services(6);
    let made = tempfile::tempdir().unwrap();
    let bases = bases(made.path(), 3);
    let mut outcomes: BTreeMap<(&str, &str, &str), u32> = BTreeMap::new();
    for seed in seeds() {
        let Spoiled { folder, path, bytes, base, what, how } = spoiled(seed, &bases);
        let before = PANICS.load(Ordering::SeqCst);
        let looked = StateFile::survey(folder.path());
        match &looked {
            Ok(survey) => same_or_named(&expected, survey, folder.path(), &how),
            Err(error) => assert!(is_told(error), "{how}: {error}"),
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "{how}: it was looked at only");
        let outcome = match open_and_go_on(folder.path(), &expected, &how) {
            Ok(()) => "as it was",
            Err(error) => {
                assert!(is_told(&error), "{how}: {error}");
                assert!(
                    looked.is_err() || !looked.unwrap().damage.is_empty(),
                    "{how}: only one of both found it: {error}"
                );
                "told"
            }
        };
        assert_eq!(PANICS.load(Ordering::SeqCst), before, "{how}: something panicked");
        *outcomes.entry((base, what, outcome)).or_default() += 1;
    }
    println!("{outcomes:#?}");
}

/// As a host does: reads all of it, commits more, and finds all of that at the next start.
fn open_and_go_on(folder: &Path, expected: &Services, how: &str) -> Result<(), StateError> {
    let file = StateFile::open(folder)?;
    assert_eq!(file.services()?, expected.keys().cloned().collect::<Vec<_>>(), "{how}");
    for (service, states) in expected {
        assert_eq!(file.read(service)?, *states, "{how}: {service}");
    }
    let more = BTreeMap::from([("".into(), kept(9, 50, 500))]);
    file.replace("more", &more)?;
    file.replace("ledger", &more)?;
    drop(file);
    let survey = StateFile::survey(folder)?;
    let mut after = expected.clone();
    after.insert("more".to_owned(), more.clone());
    after.insert("ledger".to_owned(), more);
    assert!(survey.damage.is_empty() && survey.states == after, "{how}: {:?}", survey.damage);
    Ok(())
}

#[test]
fn what_is_well_in_a_damaged_file_can_be_copied_out_and_used() {
    let made = tempfile::tempdir().unwrap();
    let [_, base] = bases(made.path(), 3);
    let path = StateFile::path(made.path());
    let mut bytes = base.bytes.clone();
    // A value of one actor's, everywhere that it stands.
    let needle = b"6:2:xxxxxxxxxxxxxxxxxxxx";
    let found: Vec<usize> = (0..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    let at = found[found.len() / 2];
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let survey = StateFile::survey(made.path()).unwrap();
    let repaired = made.path().join("repaired.redb");
    survey.write_to(&repaired).unwrap();
    assert!(survey.write_to(&repaired).is_err(), "nothing is written over");
    if survey.damage.is_empty() {
        // It stood on a page that was free.
        assert_eq!(survey.states, services(6));
    }
    fs::rename(&repaired, &path).unwrap();
    let file = StateFile::open(made.path()).unwrap();
    for (service, states) in &survey.states {
        assert_eq!(file.read(service).unwrap(), *states);
    }
    assert!(survey.check("quiet", made.path()).is_ok() && survey.check("nobody", made.path()).is_ok(), "{survey:?}");
    for service in ["blobs", "quiet"] {
        assert_eq!(file.read(service).unwrap(), services(6)[service], "nothing of it was damaged");
    }
}

/// A store with five releases of two components.
fn published(data: &Path) -> Vec<(String, String, Vec<u8>)> {
    let store = Store::open(data).unwrap();
    let mut all = Vec::new();
    for (name, version) in [("a", "1.0.0"), ("a", "1.1.0"), ("a", "2.0.0"), ("b", "1.0.0"), ("b", "1.0.1")] {
        let binary = shifter(&format!("{name}{}", version.replace('.', "")), "healthy");
        let text = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        let _published = store.publish(&Draft::new(binary.clone(), text).unwrap()).unwrap();
        all.push((name.to_owned(), version.to_owned(), binary));
    }
    all
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.retain(|path| !path.ends_with("lock"));
    found.sort();
    found
}

/// The files of these folders, with what they say.
fn read_all(folders: &[PathBuf]) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = folders.iter().filter(|folder| folder.is_dir()).flat_map(|folder| files(folder));
    all.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// What a host leaves that was killed while one of two services that were deployed before was on probation; and what
/// the same files were before.
async fn deployed() -> (Deploying, BTreeMap<PathBuf, Vec<u8>>, BTreeMap<PathBuf, Vec<Vec<u8>>>) {
    let deploying = Deploying::start_kept(TOPOLOGY, tempfile::tempdir().unwrap()).await;
    let data = deploying.folder.path().join("data");
    let _published = published(&data);
    let folders = [data.join("desired")];
    let mut olds: BTreeMap<PathBuf, Vec<Vec<u8>>> = BTreeMap::new();
    let release = |name: &str| Store::open(&data).unwrap().resolve(name).unwrap();
    for (service, name) in
        [("counter", "a@1.0.0"), ("sibling", "b@1.0.0"), ("counter", "a@1.1.0"), ("sibling", "b@1.0.1")]
    {
        let deployment = deploying.runtime.deploy(service, release(name), quick()).await.unwrap();
        let live = tokio::time::timeout(PATIENCE, deployment.ended()).await.unwrap();
        assert_eq!(live, Progress::Live, "{service} {name}");
        for (path, bytes) in read_all(&folders) {
            olds.entry(path).or_default().push(bytes);
        }
    }
    let mut slow = DeployOptions::default();
    slow.probation = Duration::from_secs(3_600);
    let deployment = deploying.runtime.deploy("counter", release("a@2.0.0"), slow).await.unwrap();
    assert_eq!(tokio::time::timeout(PATIENCE, deployment.switched()).await.unwrap(), Progress::Probation);
    let whole = read_all(&folders);
    for (path, olds) in &mut olds {
        olds.retain(|old| *old != whole[path]);
    }
    (deploying, whole, olds)
}

/// What was deployed, and what is in force; or why that is not known.
fn recorded(data: &Path) -> Result<(BTreeSet<String>, String), String> {
    let needed = airssys_wasm::command::needed(data).map_err(|error| told!(error))?;
    let in_force = airssys_wasm::command::in_force(data).map_err(|error| told!(error))?.unwrap();
    Ok((needed, in_force.topology.to_text().unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deployed_and_what_is_in_force_is_what_was_written_or_an_error_that_names_the_file() {
    let (deploying, whole, olds) = deployed().await;
    let folder = deploying.stop().await;
    let data = folder.path().join("data");
    let _alone = ALONE.lock().unwrap();
    count_panics();
    whole.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    let expected = recorded(&data).unwrap();
    let all = ["a@1.0.0", "a@1.1.0", "a@2.0.0", "b@1.0.0", "b@1.0.1"];
    assert_eq!(expected.0, all.map(str::to_owned).into());
    let mut outcomes: BTreeMap<(String, &str, &str), u32> = BTreeMap::new();
    for seed in seeds() {
        let mut random = Random::of(seed);
        let (path, bytes) = whole.iter().nth(random.index(whole.len())).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        // What the file was before, and what others of its kind are: somebody mixed them up.
        let kin = whole.iter().filter(|(other, _)| other.extension() == path.extension() && *other != path);
        let olds: Vec<Vec<u8>> = olds[path].iter().chain(kin.map(|(_, bytes)| bytes)).cloned().collect();
        let mut spoiled = bytes.clone();
        let what = spoil(&mut random, &mut spoiled, &olds);
        let how = format!("AIRSSYS_SEED={seed}, {}, {what}", path.display());
        fs::write(path, &spoiled).unwrap();

        let before = PANICS.load(Ordering::SeqCst);
        let found = recorded(&data);
        let damage = airssys_wasm::command::damage(&data);
        // The releases that it names are not there.
        let of_records = |error: &&RecordError| !matches!(error, RecordError::Release(_));
        let damage: Vec<String> = damage.map_or_else(
            |error| vec![told!(error)],
            |all| all.iter().filter(of_records).map(|error| told!(error)).collect(),
        );
        let outcome = match found {
            Ok(found) => {
                assert_eq!(found, expected, "{how}");
                // Of the history some ends may be lost, and that is told.
                assert!(damage.iter().all(|damage| damage.contains("of the history of ")), "{how}: {damage:?}");
                if damage.is_empty() { "as it was" } else { "the history" }
            }
            Err(told) => {
                assert!(told.contains("desired/records") && told.contains("hint: "), "{how}: {told}");
                assert!(told.contains("forget the record"), "{how}: {told}");
                assert!(damage.contains(&told), "{how}: {damage:?}, not {told}");
                "told"
            }
        };
        assert_eq!(PANICS.load(Ordering::SeqCst), before, "{how}: something panicked");
        *outcomes.entry((name.to_owned(), what, outcome)).or_default() += 1;
        fs::write(path, bytes).unwrap();
    }
    println!("{outcomes:#?}");
    assert_eq!(recorded(&data).unwrap(), expected, "all is whole again");
}

/// Whether the error names the release, or the file.
fn names(error: &StoreError, release: &str, path: &Path) -> bool {
    let text = error.to_string();
    let is_told =
        matches!(error, StoreError::Damaged { .. } | StoreError::NoSuchRelease { .. } | StoreError::NewerFormat { .. });
    is_told && (text.contains(release) || text.contains(path.file_name().unwrap().to_str().unwrap()))
}

#[test]
fn a_release_is_what_was_published_or_an_error_that_names_it() {
    let _alone = ALONE.lock().unwrap();
    count_panics();
    let data = tempfile::tempdir().unwrap();
    let all = published(data.path());
    let releases = data.path().join("releases");
    let whole: Vec<(PathBuf, Vec<u8>)> =
        files(&releases).into_iter().map(|path| (path.clone(), fs::read(&path).unwrap())).collect();
    let store = Store::open(data.path()).unwrap();
    let mut outcomes: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for seed in seeds() {
        let mut random = Random::of(seed);
        let (path, bytes) = &whole[random.index(whole.len())];
        // What stands in other files of its kind is what an old copy would be.
        let kin = |other: &&(PathBuf, Vec<u8>)| other.0.extension() == path.extension() && other.0 != *path;
        let olds: Vec<Vec<u8>> = whole.iter().filter(kin).map(|(_, bytes)| bytes.clone()).collect();
        let mut spoiled = bytes.clone();
        let what = spoil(&mut random, &mut spoiled, &olds);
        let how = format!("AIRSSYS_SEED={seed}, {}, {what}", path.display());
        fs::remove_file(path).unwrap();
        fs::write(path, &spoiled).unwrap();

        let before = PANICS.load(Ordering::SeqCst);
        let listing = store.releases().unwrap_or_else(|error| panic!("{how}: {error}"));
        let mut outcome = "as it was";
        for (name, version, binary) in &all {
            let release = format!("{name}@{version}");
            match store.resolve(&release) {
                Ok(found) => {
                    assert_eq!(fs::read(&found.component).unwrap(), *binary, "{how}: {release}");
                    assert_eq!(
                        (found.manifest.name.as_str(), found.manifest.version.to_string()),
                        (&**name, version.clone())
                    );
                    let listed = listing.iter().flatten().find(|record| record.to_string() == release);
                    assert_eq!(found.seal.unwrap().id(), listed.unwrap().id(), "{how}: {release}");
                }
                Err(error) => {
                    assert!(names(&error, &release, path), "{how}: {error}");
                    outcome = "told";
                }
            }
        }
        assert_eq!(PANICS.load(Ordering::SeqCst), before, "{how}: something panicked");
        *outcomes.entry((what, outcome)).or_default() += 1;
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
    }
    println!("{outcomes:#?}");
    for (name, version, _) in &all {
        assert!(store.resolve(&format!("{name}@{version}")).is_ok(), "all is whole again");
    }
}
