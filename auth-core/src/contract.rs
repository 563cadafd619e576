//! What this crate family promises, sentence by sentence, and the tests that prove each.
//!
//! A test is named after the rule that it proves, so `cargo nextest run rule_10` runs the proofs of rule 10 in every
//! crate. The tables here name them all, and where they stand; a test of its own keeps them complete.
//!
//! # One login
//!
//! ## Rule 1
//!
//! For one identity, at most one login is in flight. Whoever needs it waits for that one and gets its result, the
//! credential or the failure: a failing login with a thousand waiters is one login, not a thousand in a row. An
//! identity is one handle and its clones, or one key of a pool. The secret comes from the identity's source, and
//! a look-up never brings one along; a different source for a key in use is an error.
//!
//! | test | in |
//! |---|---|
//! | `rule_1_get_beside_get_is_one_login` | `explore/tests/interleavings.rs` |
//! | `rule_1_a_failing_login_is_one_login_for_all_who_waited` | `explore/tests/interleavings.rs` |
//! | `rule_1_a_flight_is_told_from_those_before_it` | `src/cache/state/tests.rs` |
//! | `rule_1_an_identity_is_one_key_of_a_pool` | `tests/contract/many.rs` |
//! | `rule_1_a_different_source_for_a_key_in_use_is_an_error` | `tests/contract/many.rs` |
//! | `rule_1_ten_thousand_cold_callers_are_one_login` | `tests/contract/one_login.rs` |
//! | `rule_1_it_is_one_login_from_many_threads_too` | `tests/contract/one_login.rs` |
//! | `rule_1_a_failing_login_with_ten_thousand_waiters_is_one_login` | `tests/contract/one_login.rs` |
//! | `rule_1_a_live_login_is_not_superseded_while_it_takes_its_permit` | `tests/contract/one_login.rs` |
//!
//! ## Rule 2
//!
//! A login outlives its callers. If the future that started it is dropped, or all of them, it still completes and
//! its session is kept.
//!
//! | test | in |
//! |---|---|
//! | `rule_2_a_login_outlives_its_leader_and_all_its_waiters` | `explore/tests/interleavings.rs` |
//! | `rule_2_a_login_outlives_the_caller_who_started_it` | `tests/contract/one_login.rs` |
//! | `rule_2_a_caller_cancelled_during_the_login_does_not_stop_it` | `../auth-middleware/tests/reqwest.rs` |
//! | `rule_2_a_caller_cancelled_during_the_login_does_not_stop_it` | `../auth-middleware/tests/tower.rs` |
//!
//! ## Rule 3
//!
//! Nothing waits for ever. A login that panics, hangs past its time-out, or sits on a runtime that nobody drives
//! any more releases its waiters with a typed error: each waiter has a timer on its own runtime, which those who wait
//! there may share, and may supersede a dead login, whose late result is then discarded. Outside any runtime there is a typed error, or the blocking
//! call, which brings its own thread.
//!
//! | test | in |
//! |---|---|
//! | `rule_3_a_panic_in_the_provider_releases_everybody` | `explore/tests/interleavings.rs` |
//! | `rule_3_a_login_that_hangs_releases_everybody_when_its_time_is_over` | `explore/tests/interleavings.rs` |
//! | `rule_3_who_is_passed_over_keeps_nobody_waiting` | `src/limit/tests.rs` |
//! | `rule_3_who_misses_a_turn_for_longer_than_a_while_is_passed_over` | `src/limit/tests.rs` |
//! | `rule_3_a_login_that_hangs_releases_its_waiters_with_a_typed_error` | `tests/contract/one_login.rs` |
//! | `rule_3_a_login_that_panics_releases_its_waiters_with_a_typed_error` | `tests/contract/one_login.rs` |
//! | `rule_3_a_callers_own_deadline_ends_its_wait_and_not_the_login` | `tests/contract/one_login.rs` |
//! | `rule_3_a_login_that_asks_for_its_own_credential_gets_a_typed_error` | `tests/contract/one_login.rs` |
//! | `rule_3_sessions_that_end_before_they_can_be_used_are_a_typed_error_and_not_a_loop` | `tests/contract/one_login.rs` |
//! | `rule_3_an_observer_that_panics_undoes_nothing` | `tests/contract/one_login.rs` |
//! | `rule_3_outside_any_runtime_it_is_a_typed_error` | `tests/contract/runtimes.rs` |
//! | `rule_3_whoever_would_join_a_login_outside_any_runtime_gets_a_typed_error` | `tests/contract/runtimes.rs` |
//! | `rule_3_a_caller_in_a_task_that_has_used_up_its_turn_waits_all_the_same` | `tests/contract/runtimes.rs` |
//! | `rule_3_whoever_waits_on_is_released_when_those_who_came_first_have_left` | `tests/contract/runtimes.rs` |
//! | `rule_3_a_wait_that_goes_on_elsewhere_has_its_timer_there` | `tests/contract/runtimes.rs` |
//! | `rule_3_an_alarm_wakes_all_at_the_earliest_moment_and_goes_with_the_last_who_waits` | `src/cache/crowd.rs` |
//! | `rule_3_of_two_alarms_that_are_set_at_once_the_earlier_one_stays` | `src/cache/crowd.rs` |
//! | `rule_3_an_alarm_rings_by_the_runtimes_own_timer` | `src/cache/crowd.rs` |
//! | `rule_3_the_blocking_call_brings_its_own_thread` | `tests/contract/runtimes.rs` |
//! | `rule_3_four_hundred_blocking_callers_are_one_login` | `tests/contract/runtimes.rs` |
//! | `rule_3_a_login_whose_runtime_was_shut_down_is_begun_anew_elsewhere` | `tests/contract/runtimes.rs` |
//! | `rule_3_a_handle_that_outlives_its_runtime_is_used_from_another` | `tests/contract/runtimes.rs` |
//! | `rule_3_a_login_on_a_runtime_that_nobody_drives_is_superseded_and_its_late_result_discarded` | `tests/contract/runtimes.rs` |
//! | `rule_3_a_login_that_no_runtime_ever_started_is_superseded_soon` | `tests/contract/runtimes.rs` |
//! | `rule_3_a_permit_that_a_sleeping_runtime_waits_for_does_not_block_the_line` | `tests/contract/runtimes.rs` |
//! | `rule_3_a_login_whose_task_was_dropped_before_its_first_poll_is_cleared_away` | `tests/contract/runtimes.rs` |
//! | `rule_3_a_source_that_hangs_is_not_waited_for_longer_than_a_login` | `tests/contract/provider.rs` |
//! | `rule_3_a_turn_counts_from_when_it_came_and_whoever_moves_up_is_told` | `src/limit/tests.rs` |
//! | `rule_3_where_flights_do_not_live_it_is_a_typed_error_after_four` | `src/cache/waiting.rs` |
//!
//! ## Rule 4
//!
//! No lock and no permit is held across a caller's request or across a login.
//!
//! | test | in |
//! |---|---|
//! | `rule_4_nobody_who_has_a_credential_is_held_up_by_a_login` | `tests/contract/one_login.rs` |
//! | `rule_4_a_login_through_the_same_limited_stack_does_not_deadlock` | `../auth-middleware/tests/tower.rs` |
//! | `rule_4_a_request_that_cant_be_sent_gives_its_permit_back` | `../auth-middleware/tests/given_back.rs` |
//! | `rule_4_no_readied_service_is_held_through_a_wait` | `../auth-middleware/tests/tower.rs` |
//! | `rule_4_a_future_that_has_answered_holds_nothing_of_the_inner_service` | `../auth-middleware/tests/tower.rs` |
//! | `rule_4_a_future_that_has_failed_holds_nothing_of_the_inner_service` | `../auth-middleware/tests/tower.rs` |
//!
//! # The fast path
//!
//! ## Rule 5
//!
//! A fresh credential costs no wait, no lock and no allocation. Attaching a header allocates nothing; merging into
//! a `Cookie` header that is there, or adding a query pair, allocates what it builds.
//!
//! | test | in |
//! |---|---|
//! | `rule_5_a_header_of_the_same_name_is_replaced_and_ours_is_sensitive` | `src/credential/attachment.rs` |
//! | `rule_5_a_fresh_credential_is_handed_out_attached_and_accepted_without_an_allocation` | `tests/allocation.rs` |
//! | `rule_5_a_fresh_credential_is_served_without_a_runtime_or_a_wait` | `tests/contract/fast_path.rs` |
//! | `rule_5_what_is_lent_can_be_asked_for_again_by_whom_it_is_lent_to` | `tests/contract/fast_path.rs` |
//! | `rule_5_a_fresh_credential_without_replay_adds_no_allocation` | `../auth-middleware/tests/allocation.rs` |
//!
//! ## Rule 6
//!
//! Inside the refresh window the current credential is served at once and one renewal runs beside it. The window
//! precedes the hard or absolute expiry, never the idle deadline; an unknown life has none. It is the smaller of a
//! configured lead and a fraction of the life, with jitter. A renewal that brings back the same expiry is no
//! progress and backs off.
//!
//! | test | in |
//! |---|---|
//! | `rule_6_without_progress_the_next_renewal_waits_for_its_back_off_to_the_moment` | `src/cache/state/tests.rs` |
//! | `rule_6_the_window_is_the_smaller_of_lead_and_fraction` | `src/lifetime/life.rs` |
//! | `rule_6_jitter_shortens_the_window_by_at_most_a_quarter` | `src/lifetime/life.rs` |
//! | `rule_6_an_unknown_life_and_an_idle_deadline_have_no_window` | `src/lifetime/life.rs` |
//! | `rule_6_the_same_expiry_again_is_no_progress` | `src/lifetime/life.rs` |
//! | `rule_6_inside_the_window_the_credential_is_served_and_one_renewal_runs_beside` | `tests/contract/fast_path.rs` |
//! | `rule_6_short_lives_do_not_loop` | `tests/contract/fast_path.rs` |
//! | `rule_6_a_renewal_that_brings_back_the_same_expiry_backs_off` | `tests/contract/fast_path.rs` |
//! | `rule_6_a_renewal_that_fails_leaves_the_traffic_alone_and_backs_off` | `tests/contract/fast_path.rs` |
//!
//! # Rejection
//!
//! ## Rule 7
//!
//! A *generation* is one login; a value that the server rolls in mid-session is a *revision* of it. A response can
//! only reject what its request carried: a late rejection of an older generation or revision starts nothing, and
//! the request is replayed with the current one. A generation whose rejection was believed is never served again,
//! not even when the login server is down.
//!
//! | test | in |
//! |---|---|
//! | `rule_7_get_beside_reject_never_serves_what_was_rejected` | `explore/tests/interleavings.rs` |
//! | `rule_7_reject_beside_renew_is_one_login_at_a_time` | `explore/tests/interleavings.rs` |
//! | `rule_7_a_late_rejection_of_an_older_generation_starts_nothing` | `tests/contract/rejection.rs` |
//! | `rule_7_twenty_thousand_rejections_of_one_generation_are_one_login` | `tests/contract/rejection.rs` |
//! | `rule_7_a_rejected_generation_is_never_served_again_not_even_in_an_outage` | `tests/contract/rejection.rs` |
//! | `rule_7_a_waiter_is_not_handed_a_generation_that_was_rejected_on_its_landing` | `tests/contract/rejection.rs` |
//! | `rule_7_another_caches_answers_say_nothing_here` | `tests/contract/rejection.rs` |
//! | `rule_7_a_credential_knows_that_its_rejection_was_believed` | `tests/contract/rejection.rs` |
//! | `rule_7_a_credential_that_died_while_the_service_was_made_ready_is_not_sent` | `../auth-middleware/tests/tower.rs` |
//! | `rule_7_an_answer_to_a_request_that_left_its_credential_behind_is_not_judged` | `../auth-middleware/tests/reqwest.rs` |
//! | `rule_7_what_was_rejected_while_the_service_was_made_ready_is_not_sent` | `../auth-middleware/tests/given_back.rs` |
//!
//! ## Rule 8
//!
//! The rejection of the current credential is believed at any age, unless the last login that a rejection caused
//! did not help (its replays were rejected too) less than a cooldown ago (5 s, doubling to 5 min; one accepted
//! replay resets it), or three such logins fell into the last minute. Then the login isn't at fault: the answer
//! stands, the session is kept, no login is spent.
//!
//! | test | in |
//! |---|---|
//! | `rule_8_a_rejection_is_believed_at_any_age` | `src/cache/rejection_breaker.rs` |
//! | `rule_8_a_login_that_did_not_help_is_followed_by_a_cooldown_that_doubles` | `src/cache/rejection_breaker.rs` |
//! | `rule_8_a_login_on_probation_is_not_doubled_by_requests_that_overtake_its_replay` | `src/cache/rejection_breaker.rs` |
//! | `rule_8_one_accepted_replay_resets_it` | `src/cache/rejection_breaker.rs` |
//! | `rule_8_a_late_answer_to_an_older_replay_proves_nothing_new` | `src/cache/rejection_breaker.rs` |
//! | `rule_8_three_logins_in_a_minute_are_enough_even_if_each_helped` | `src/cache/rejection_breaker.rs` |
//! | `rule_8_a_revocation_a_millisecond_after_a_login_is_healed_by_one_login` | `tests/contract/rejection.rs` |
//! | `rule_8_a_rejection_begins_the_next_login_even_if_nobody_replays` | `tests/contract/rejection.rs` |
//! | `rule_8_not_permitted_ten_thousand_times_is_one_login_per_cooldown_and_it_grows` | `tests/contract/rejection.rs` |
//! | `rule_8_ten_thousand_at_once_that_are_not_permitted_are_one_login` | `tests/contract/rejection.rs` |
//! | `rule_8_two_programs_ousting_each_other_do_not_storm` | `tests/contract/rejection.rs` |
//! | `rule_8_a_late_rejection_of_an_older_replay_casts_no_doubt_on_a_login_that_helped` | `tests/contract/rejection.rs` |
//! | `rule_8_a_replay_of_an_older_revision_proves_nothing_of_the_current_one` | `tests/contract/rejection.rs` |
//! | `rule_8_one_accepted_replay_ends_the_doubt_that_a_rejected_one_cast` | `tests/contract/rejection.rs` |
//! | `rule_8_a_rejected_request_is_replayed_once_with_something_newer` | `../auth-middleware/tests/tower.rs` |
//! | `rule_8_a_request_is_replayed_once` | `../auth-middleware/tests/reqwest.rs` |
//! | `rule_8_twenty_thousand_rejections_at_once_are_one_login_and_no_failed_request` | `../auth-middleware/tests/tower.rs` |
//! | `rule_8_two_programs_ousting_each_other_end_in_the_servers_answers` | `../auth-middleware/tests/tower.rs` |
//!
//! ## Rule 9
//!
//! The second answer is the one the caller gets, with the same request bytes sent, attached anew to a pristine copy. A
//! body that can't be sent twice isn't: the caller gets the first answer at once, and the next request finds a new
//! session. This is the business of the fronts: see `auth-middleware`.
//!
//! | test | in |
//! |---|---|
//! | `rule_9_a_larger_body_gets_its_first_answer_at_once` | `../auth-middleware/tests/buffered.rs` |
//! | `rule_9_a_streamed_body_within_the_limit_is_replayed_byte_for_byte` | `../auth-middleware/tests/buffered.rs` |
//! | `rule_9_a_streaming_body_gets_its_first_answer_and_the_next_a_new_session` | `../auth-middleware/tests/reqwest.rs` |
//! | `rule_9_the_second_answer_is_the_one_the_caller_gets_with_the_same_bytes_sent` | `../auth-middleware/tests/reqwest.rs` |
//! | `rule_9_the_second_answer_is_the_one_the_caller_gets_with_the_same_bytes_sent` | `../auth-middleware/tests/tower.rs` |
//! | `rule_9_the_second_try_carries_nothing_that_only_the_first_credential_had` | `../auth-middleware/tests/buffered.rs` |
//! | `rule_9_the_second_try_carries_nothing_that_only_the_first_credential_had` | `../auth-middleware/tests/reqwest.rs` |
//! | `rule_9_the_second_try_carries_nothing_that_only_the_first_credential_had` | `../auth-middleware/tests/tower.rs` |
//! | `rule_9_what_is_not_to_be_sent_twice_gets_its_first_answer_and_the_next_a_new_session` | `../auth-middleware/tests/tower.rs` |
//!
//! # FailurePolicy
//!
//! ## Rule 10
//!
//! In no window of the documented length are there more logins than documented, for all identities and clones in
//! the process that log in at the same origin; first tries, retries and failures counted; ten a minute where
//! nothing is documented. Waiting callers spend one permit together; logins that somebody waits for go before
//! renewals. A caller whose deadline comes before its permit is told so at once, with the time to wait.
//!
//! | test | in |
//! |---|---|
//! | `rule_10_no_window_wherever_it_starts_holds_more_than_documented` | `src/limit/tests.rs` |
//! | `rule_10_a_permit_that_is_due_is_given` | `src/limit/tests.rs` |
//! | `rule_10_the_property_fails_for_governors_own_quota_per_minute` | `src/limit/tests.rs` |
//! | `rule_10_ten_cold_identities_log_in_at_once` | `src/limit/tests.rs` |
//! | `rule_10_neither_the_wall_clock_nor_a_shorter_day_gives_a_permit_early` | `src/limit/tests.rs` |
//! | `rule_10_everybody_in_the_line_is_told_when_their_turn_comes` | `src/limit/tests.rs` |
//! | `rule_10_renewals_stand_behind_everybody_whom_somebody_waits_for` | `src/limit/tests.rs` |
//! | `rule_10_a_login_that_is_wanted_before_it_stands_in_the_line_is_told_so` | `src/limit/tests.rs` |
//! | `rule_10_a_window_of_days_is_kept` | `src/limit/tests.rs` |
//! | `rule_10_a_caller_whose_deadline_comes_before_its_permit_is_told_at_once` | `tests/contract/restraint.rs` |
//! | `rule_10_a_caller_who_can_wait_does` | `tests/contract/restraint.rs` |
//! | `rule_10_all_identities_at_one_origin_share_the_quota` | `tests/contract/restraint.rs` |
//! | `rule_10_failures_count_as_attempts` | `tests/contract/restraint.rs` |
//! | `rule_10_the_strictest_statement_holds_and_a_smaller_share_can_be_asked_for` | `tests/contract/restraint.rs` |
//! | `rule_10_logins_that_somebody_waits_for_go_before_renewals` | `tests/contract/restraint.rs` |
//! | `rule_10_a_caller_who_joins_a_queued_renewal_takes_a_callers_place` | `tests/contract/restraint.rs` |
//! | `rule_10_waiters_are_told_at_once_when_the_server_postpones_their_permit` | `tests/contract/restraint.rs` |
//! | `rule_10_waiters_are_told_at_once_when_others_take_the_permits_while_the_secret_is_read` | `tests/contract/restraint.rs` |
//! | `rule_10_a_look_that_becomes_a_login_keeps_to_the_quota_and_says_so` | `tests/contract/restraint.rs` |
//! | `rule_10_a_place_in_the_line_that_nobody_comes_for_is_passed_over` | `tests/contract/restraint.rs` |
//! | `rule_10_the_line_itself_gives_no_permit_too_many` | `src/limit/tests.rs` |
//! | `rule_10_the_eleventh_login_of_a_minute_is_limited` | `../auth-providers/tests/transports.rs` |
//! | `rule_10_the_wait_ends_with_the_requests_own_timeout_or_the_contexts` | `../auth-middleware/tests/reqwest.rs` |
//! | `rule_10_a_smaller_share_of_the_documented_quota_is_taken_and_a_larger_one_is_not` | `../auth-providers/tests/facts.rs` |
//! | `rule_10_the_wait_before_a_replay_ends_with_what_is_left_of_the_requests_own_timeout` | `../auth-middleware/tests/reqwest.rs` |
//!
//! ## Rule 11
//!
//! The login server's `Retry-After` holds every login to it, capped at an hour; sessions in hand go on being
//! served.
//!
//! | test | in |
//! |---|---|
//! | `rule_11_a_limit_is_the_limiters_business_and_a_retry_after_is_capped` | `src/cache/failure.rs` |
//! | `rule_11_a_permit_is_given_at_the_very_end_of_a_hold` | `src/limit/tests.rs` |
//! | `rule_11_the_servers_retry_after_holds_every_login_to_it` | `tests/contract/restraint.rs` |
//! | `rule_11_a_retry_after_is_capped_and_a_missing_one_is_a_whole_window` | `tests/contract/restraint.rs` |
//! | `rule_11_everybody_is_told_how_long_the_origin_is_held` | `tests/contract/restraint.rs` |
//! | `rule_11_and_12_outages_and_limits_are_no_refusals` | `../auth-providers/tests/facts.rs` |
//! | `rule_11_retry_after_is_read_in_seconds_or_as_a_date` | `../auth-providers/src/response.rs` |
//!
//! ## Rule 12
//!
//! A refused password isn't tried again until the secret changes or a cooldown ends, however many requests ask;
//! they get the same typed error. Meanwhile the source is looked at again, at most once a second and compared
//! without keeping a copy in clear, so that a mended secret logs in at once. Outages are not refusals: they back
//! off, with jitter, and never lock a good password out.
//!
//! | test | in |
//! |---|---|
//! | `rule_12_an_outage_backs_off_with_full_jitter_up_to_a_minute` | `src/cache/failure.rs` |
//! | `rule_12_a_refusal_holds_for_its_cooldown_and_looks_at_the_source_each_second` | `src/cache/failure.rs` |
//! | `rule_12_only_a_refusal_that_is_in_force_survives_a_source_that_cant_be_read` | `src/cache/state/tests.rs` |
//! | `rule_12_a_refusal_outlives_being_forgotten` | `tests/contract/many.rs` |
//! | `rule_12_refusals_are_forgotten_only_when_they_forbid_nothing_any_more` | `tests/contract/many.rs` |
//! | `rule_12_a_refusal_outlives_being_removed_but_not_another_password` | `tests/contract/many.rs` |
//! | `rule_12_a_refused_password_is_not_tried_again_however_many_ask` | `tests/contract/restraint.rs` |
//! | `rule_12_a_mended_secret_logs_in_at_once_and_is_looked_at_once_a_second` | `tests/contract/restraint.rs` |
//! | `rule_12_a_secret_that_cant_be_read_costs_no_attempt_and_is_read_again` | `tests/contract/restraint.rs` |
//! | `rule_12_outages_back_off_and_never_lock_a_good_password_out` | `tests/contract/restraint.rs` |
//! | `rule_12_a_source_that_cant_be_read_does_not_erase_a_refusal` | `tests/contract/restraint.rs` |
//! | `rule_12_a_fixed_password_is_not_looked_at_again` | `tests/contract/restraint.rs` |
//! | `rule_12_only_outages_lengthen_the_back_off` | `tests/contract/restraint.rs` |
//! | `rule_12_an_outage_is_unavailable_and_not_refused` | `../auth-providers/tests/transports.rs` |
//! | `rule_12_room_for_refusals_is_made_of_those_that_forbid_nothing_any_more` | `tests/contract/many.rs` |
//! | `rule_12_what_fails_before_anything_is_sent_says_so_and_is_no_refusal` | `tests/contract/provider.rs` |
//!
//! ## Rule 13
//!
//! While a login fails, for whatever reason, a credential that may still be good is served until its hard expiry.
//! Past it, or where it was rejected, callers get the typed error.
//!
//! | test | in |
//! |---|---|
//! | `rule_13_while_a_login_fails_the_credential_is_served_until_its_hard_expiry` | `tests/contract/restraint.rs` |
//! | `rule_13_a_session_that_was_silent_for_too_long_is_served_while_logins_fail` | `tests/contract/restraint.rs` |
//! | `rule_13_whatever_keeps_a_login_from_being_had_what_may_be_good_is_served` | `tests/contract/restraint.rs` |
//! | `rule_13_the_blocking_call_is_served_what_may_be_good_too` | `tests/contract/restraint.rs` |
//! | `rule_13_after_a_rejection_a_failing_login_is_what_the_caller_gets` | `../auth-middleware/tests/tower.rs` |
//! | `rule_13_without_a_credential_a_request_is_not_sent_and_the_error_is_typed` | `../auth-middleware/tests/reqwest.rs` |
//! | `rule_13_without_a_credential_a_request_is_not_sent_and_the_error_is_typed` | `../auth-middleware/tests/tower.rs` |
//!
//! # Time
//!
//! ## Rule 14
//!
//! Expiry is decided on two clocks, the wall clock and one that nobody can set, and the earlier verdict wins.
//!
//! | test | in |
//! |---|---|
//! | `rule_14_the_earlier_of_the_two_clocks_wins` | `src/clock/moment.rs` |
//! | `rule_14_neither_suspend_nor_a_clock_set_back_makes_a_dead_session_fresh` | `src/lifetime/life.rs` |
//! | `rule_14_neither_clock_alone_makes_a_dead_session_look_fresh` | `tests/contract/time.rs` |
//! | `rule_14_a_wall_clock_set_back_does_not_end_a_session` | `tests/contract/time.rs` |
//! | `rule_14_a_waiter_that_slept_through_the_landing_is_not_handed_what_expired_since` | `tests/contract/time.rs` |
//!
//! ## Rule 15
//!
//! Sliding sessions slide. The idle deadline counts from the sending of a request whose answer was accepted, only
//! ever moves forward, and is stored at most once a second. A `Set-Cookie` applies only if its request carried the
//! current revision; a deletion of the current revision ends the session as expiry does, where it carries several
//! cookies the deletion of all of them; and it is doubted as a rejection is (rule 8), lest a server that deletes a
//! namesake with each answer cause a login for each. An absolute maximum is absolute. `Max-Age` beats `Expires` and
//! counts from receipt.
//!
//! | test | in |
//! |---|---|
//! | `rule_15_a_late_update_does_not_touch_a_newer_generation` | `explore/tests/interleavings.rs` |
//! | `rule_15_max_age_beats_expires` | `src/credential/set_cookie.rs` |
//! | `rule_15_2xx_and_3xx_accept_and_a_502_proves_nothing` | `src/judge.rs` |
//! | `rule_15_the_idle_deadline_counts_from_sending_and_only_moves_forward` | `src/lifetime/life.rs` |
//! | `rule_15_the_idle_deadline_is_stored_at_most_once_a_second` | `src/lifetime/life.rs` |
//! | `rule_15_an_absolute_maximum_is_absolute` | `src/lifetime/life.rs` |
//! | `rule_15_max_age_counts_from_receipt_not_from_the_login` | `src/lifetime/life.rs` |
//! | `rule_15_a_roll_of_a_sliding_session_moves_the_idle_deadline` | `src/lifetime/life.rs` |
//! | `rule_15_a_rolled_cookie_is_a_revision_of_the_same_generation` | `tests/contract/rejection.rs` |
//! | `rule_15_a_set_cookie_applies_only_if_its_request_carried_the_current_revision` | `tests/contract/rejection.rs` |
//! | `rule_15_a_deletion_of_the_current_revision_ends_the_session_as_expiry_does` | `tests/contract/rejection.rs` |
//! | `rule_15_the_same_value_again_with_a_new_expiry_is_the_same_revision` | `tests/contract/rejection.rs` |
//! | `rule_15_what_landed_is_looked_at_again_before_it_is_handed_out` | `tests/contract/rejection.rs` |
//! | `rule_15_of_several_cookies_each_counts_and_their_order_does_not` | `tests/contract/rejection.rs` |
//! | `rule_15_a_server_that_ends_every_session_at_once_does_not_cause_a_login_for_each` | `tests/contract/rejection.rs` |
//! | `rule_15_a_sliding_session_slides_from_the_sending_of_accepted_requests` | `tests/contract/time.rs` |
//! | `rule_15_an_older_generations_answer_does_not_move_the_idle_deadline` | `tests/contract/time.rs` |
//! | `rule_15_a_shorter_max_age_shortens_the_silence_that_a_session_survives` | `tests/contract/time.rs` |
//! | `rule_15_a_deletion_ends_the_session_and_the_cookies_of_a_rejection_are_not_looked_at` | `../auth-middleware/tests/tower.rs` |
//! | `rule_15_a_rolled_cookie_is_the_one_sent_next` | `../auth-middleware/tests/tower.rs` |
//! | `rule_15_an_unclear_answers_cookies_are_not_looked_at` | `../auth-middleware/tests/given_back.rs` |
//!
//! # Secrecy
//!
//! ## Rule 16
//!
//! A credential goes only to the origins it was issued for: scheme, host and port. No plain HTTP, save loopback or
//! by explicit choice. What follows from it for requests and redirects is the business of the fronts: see
//! `auth-middleware`.
//!
//! | test | in |
//! |---|---|
//! | `rule_16_scheme_host_and_port_must_all_match` | `src/origin/origin.rs` |
//! | `rule_16_no_plain_http_save_loopback_or_by_explicit_choice` | `src/origin/origin.rs` |
//! | `rule_16_a_redirect_out_of_the_scope_is_reported_with_origins_only` | `../auth-middleware/tests/secrecy.rs` |
//! | `rule_16_an_answer_from_out_of_the_scope_is_not_judged` | `../auth-middleware/tests/reqwest.rs` |
//! | `rule_16_foreign_requests_pass_untouched` | `../auth-middleware/tests/reqwest.rs` |
//! | `rule_16_foreign_requests_pass_untouched` | `../auth-middleware/tests/tower.rs` |
//! | `rule_16_our_redirect_policy_stops_at_the_edge_of_the_scope` | `../auth-middleware/tests/reqwest.rs` |
//! | `rule_16_plain_http_needs_a_perilous_name` | `../auth-providers/tests/facts.rs` |
//!
//! ## Rule 17
//!
//! Passwords, tokens, cookies, csrf values and query secrets appear in no `Debug`, `Display`, error chain, panic
//! message, log or event of ours. Headers are marked sensitive. The secret is zeroed where we own the memory.
//!
//! | test | in |
//! |---|---|
//! | `rule_17_only_names_are_printed` | `src/credential/attachment.rs` |
//! | `rule_17_a_secret_does_not_print` | `src/secret/source.rs` |
//! | `rule_17_an_identity_prints_without_its_account` | `src/identity.rs` |
//! | `rule_17_no_secret_appears_in_anything_that_prints` | `tests/contract/secrecy.rs` |
//! | `rule_17_a_failed_login_does_not_print_the_password` | `../auth-middleware/tests/secrecy.rs` |
//! | `rule_17_a_malformed_body_is_not_quoted` | `../auth-providers/src/response.rs` |
//! | `rule_17_a_secret_header_is_sensitive_and_a_bad_one_is_not_repeated` | `../auth-providers/src/request.rs` |
//! | `rule_17_a_transport_does_not_print_its_clients_headers` | `../auth-providers/tests/odd_responses.rs` |
//! | `rule_17_after_a_redirect_within_the_scope_the_url_shows_no_secret_either` | `../auth-middleware/tests/secrecy.rs` |
//! | `rule_17_an_error_shows_the_callers_own_url` | `../auth-middleware/tests/secrecy.rs` |
//! | `rule_17_an_error_wrapped_by_a_middleware_below_shows_no_secret` | `../auth-middleware/tests/secrecy.rs` |
//! | `rule_17_cookies_that_an_answer_sets_do_not_print` | `../auth-middleware/tests/secrecy.rs` |
//! | `rule_17_layers_services_futures_contexts_and_attached_headers_do_not_print_secrets` | `../auth-middleware/tests/secrecy.rs` |
//! | `rule_17_logins_print_neither_account_nor_password` | `../auth-providers/tests/facts.rs` |
//! | `rule_17_the_url_of_an_answer_is_the_callers_own` | `../auth-middleware/tests/secrecy.rs` |
//! | `rule_17_transports_print_nothing_of_what_they_carry` | `../auth-providers/tests/transports.rs` |
//!
//! ## Rule 18
//!
//! The login carries no old credential, follows no redirect, uses no cookie jar, and reads a bounded answer: see
//! `auth-providers`. A login that is routed through its own front is a typed error, not a deadlock.
//!
//! | test | in |
//! |---|---|
//! | `rule_18_a_login_that_blocks_on_its_own_credential_gets_a_typed_error` | `tests/contract/runtimes.rs` |
//! | `rule_18_a_login_routed_through_its_own_front_is_a_typed_error` | `../auth-middleware/tests/reqwest.rs` |
//! | `rule_18_a_login_routed_through_its_own_front_is_a_typed_error` | `../auth-middleware/tests/tower.rs` |
//! | `rule_18_a_redirect_is_not_followed` | `../auth-providers/tests/transports.rs` |
//! | `rule_18_a_response_is_read_up_to_its_bound_and_no_further` | `../auth-providers/tests/transports.rs` |
//! | `rule_18_no_cookie_of_an_old_session_and_no_referer_is_sent` | `../auth-providers/tests/transports.rs` |
//! | `rule_18_the_login_is_marked_so_that_its_own_integration_refuses_it` | `../auth-providers/tests/credentials.rs` |
//!
//! # Ends
//!
//! ## Rule 19
//!
//! Dropping the last handle stops renewals and leaks no task; it never logs out. `close().await` does, for all
//! clones: waiters get `Closed`, a login in flight is logged out when it lands. A superseded session is logged out
//! only by choice, after a grace, in bounded number.
//!
//! | test | in |
//! |---|---|
//! | `rule_19_close_during_a_login_logs_out_what_lands` | `explore/tests/interleavings.rs` |
//! | `rule_19_dropping_the_last_handle_during_a_login_leaves_nothing_behind` | `explore/tests/interleavings.rs` |
//! | `rule_19_what_lands_after_the_close_is_logged_out_and_teaches_nothing` | `src/cache/state/tests.rs` |
//! | `rule_19_dropping_the_last_handle_stops_renewals_leaks_no_task_and_never_logs_out` | `tests/contract/ends.rs` |
//! | `rule_19_close_logs_out_for_all_clones` | `tests/contract/ends.rs` |
//! | `rule_19_waiters_get_closed_and_a_login_in_flight_is_logged_out_when_it_lands` | `tests/contract/ends.rs` |
//! | `rule_19_close_goes_on_when_its_caller_goes` | `tests/contract/ends.rs` |
//! | `rule_19_close_does_not_wait_for_a_login_that_waits_for_the_quota` | `tests/contract/ends.rs` |
//! | `rule_19_a_superseded_session_is_logged_out_only_by_choice_and_after_a_grace` | `tests/contract/ends.rs` |
//! | `rule_19_superseded_sessions_are_logged_out_in_bounded_number` | `tests/contract/ends.rs` |
//! | `rule_19_a_waiter_whose_login_landed_gets_closed_all_the_same` | `tests/contract/ends.rs` |
//! | `rule_19_the_same_session_again_is_not_logged_out` | `tests/contract/ends.rs` |
//! | `rule_19_close_logs_out_sessions_in_their_grace_too` | `tests/contract/ends.rs` |
//! | `rule_19_a_login_that_is_closed_before_its_task_was_spawned_is_not_spawned_after` | `tests/contract/ends.rs` |
//! | `rule_19_a_session_that_came_too_late_is_logged_out_by_choice_unless_it_is_the_one_served` | `tests/contract/runtimes.rs` |
//! | `rule_19_the_blocking_close_logs_out` | `tests/contract/runtimes.rs` |
//! | `rule_19_the_thread_of_a_blocking_call_ends_with_what_began_on_it` | `tests/contract/runtimes.rs` |
