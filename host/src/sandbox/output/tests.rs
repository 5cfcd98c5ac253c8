use super::*;

#[test]
fn a_panics_text_is_kept_even_when_the_line_never_ended() {
    let output = GuestOutput::new(&PluginEnv::for_tests(), None, Breaches::default());
    output.write_bytes(b"first\nthread panicked: boom");
    assert_eq!(output.tail(), "first\nthread panicked: boom");
}

#[test]
fn the_last_lines_are_those_of_the_log_and_of_the_output_in_their_order() {
    let output = GuestOutput::new(&PluginEnv::for_tests(), None, Breaches::default());
    assert_eq!(output.last_lines(), None);
    output.log(Level::Warn, "the forum\nis slow");
    output.write_bytes(b"printed\nnot ended");
    assert_eq!(output.last_lines().unwrap(), "warn: the forum is slow\nprinted\nnot ended");
    assert_eq!(output.tail(), "printed\nnot ended");
    for line in 0..TAIL_LINES {
        output.log(Level::Info, &line.to_string());
    }
    assert!(output.last_lines().unwrap().starts_with("info: 0\n"));
}

#[test]
fn a_flood_of_lines_is_dropped_and_counted_and_the_last_ones_kept() {
    let env = PluginEnv::for_tests();
    let breaches = Breaches::default();
    let output = GuestOutput::new(&env, None, breaches.clone());
    let allowed = env.limits.log_lines;
    for line in 0..allowed + 97 {
        assert_eq!(breaches.has(Limit::Log), line > allowed);
        output.write_bytes(format!("{line}\n").as_bytes());
    }
    assert_eq!(output.dropped(), 97);
    assert!(output.tail().ends_with(&format!("{}", allowed + 96)));
    assert_eq!(output.tail().lines().count(), TAIL_LINES);
}

#[test]
fn a_flood_of_bytes_is_dropped_too() {
    let env = PluginEnv::for_tests();
    let output = GuestOutput::new(&env, None, Breaches::default());
    let fit = env.limits.log_bytes / MAX_LINE_BYTES;
    for _ in 0..fit + 5 {
        output.log(Level::Trace, &"x".repeat(2 * MAX_LINE_BYTES));
    }
    assert_eq!(output.dropped(), 5);
}

#[test]
fn control_characters_do_not_reach_the_log_and_long_lines_are_cut() {
    assert_eq!(clean(b"a\x1b[31mb"), "a [31mb");
    assert_eq!(clean(&[b'x'; 5_000]).len(), MAX_LINE_BYTES);
}

#[test]
fn advice_that_nobody_can_follow_is_left_out() {
    let output = GuestOutput::new(&PluginEnv::for_tests(), None, Breaches::default());
    output.write_bytes(
        b"thread panicked: boom\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
    );
    assert_eq!(output.last_lines().as_deref(), Some("thread panicked: boom"));
}
