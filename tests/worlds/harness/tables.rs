//! Tables of worlds: each row is a test, and each topic tells which engines `make test` plays it with.

/// Worlds that are played with each of some engines: `NAME: SAMPLE of ENGINES;` makes a test of the function of that name.
/// `make test` plays it with the sample alone.
macro_rules! each_engine {
    ($($name:ident: $sample:expr, of $engines:expr;)*) => {
        /// The same as tests.
        mod each_engine {
            use super::*;
            $(
                #[test]
                #[ignore = "needs root and the test bed"]
                fn $name() {
                    for engine in crate::shared::matrix::chosen(&[$sample], $engines) {
                        super::$name(engine);
                    }
                }
            )*
        }

        /// What `make test` plays of them.
        pub(crate) fn engine_matrices() -> Vec<crate::shared::matrix::Matrix> {
            vec![$(crate::shared::matrix::Matrix::of_engines(stringify!($name), &[$sample], $engines)),*]
        }
    };
}
pub(crate) use each_engine;

/// Faults: in which engines' worlds, what is done to them, and which step must find which cause, as a failure or as a
/// warning. What else must be seen may follow. `make test` plays a row with one of its engines.
macro_rules! faults {
    ($($name:ident: $engines:expr, $world:expr => $level:ident $step:literal $cause:literal $(, $check:expr)?;)*) => {
        /// The rows as tests.
        mod faults {
            use super::*;
            $(
                #[test]
                #[ignore = "needs root and the test bed"]
                fn $name() {
                    let sample = crate::shared::matrix::sample_engine(stringify!($name), $engines);
                    let world: fn(World) -> World = $world;
                    for engine in crate::shared::matrix::chosen(&[sample], $engines) {
                        let made = world(World::new(engine));
                        let seen = made.play();
                        seen.within(crate::harness::verify::DEADLINE).$level($step, $cause);
                        crate::harness::mended::check(stringify!($name), ($step, $cause), &made, &seen);
                        $({ let check: fn(&crate::harness::verify::Seen) = $check; check(&seen); })?
                    }
                }
            )*
        }

        /// The name, the step and the cause of each.
        pub(crate) fn fault_rows() -> Vec<(&'static str, &'static str, &'static str)> {
            vec![$((stringify!($name), $step, $cause)),*]
        }

        /// What `make test` plays of them.
        pub(crate) fn fault_matrices() -> Vec<crate::shared::matrix::Matrix> {
            vec![$({
                let sample = crate::shared::matrix::sample_engine(stringify!($name), $engines);
                let kind = concat!(stringify!($name), ": `", $cause, "`");
                crate::shared::matrix::Matrix::of_engines(kind, &[sample], $engines)
            }),*]
        }
    };
}
pub(crate) use faults;
