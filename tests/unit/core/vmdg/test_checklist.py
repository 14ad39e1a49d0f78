"""A list to check off: every known defect of other tools, and every tricky case, with the tests that prevent it.

`DEFECTS` are those of OpenSVC, its successor om3, fence-agents, resource-agents and multipath-tools, by their commits or
issues, and some of vmsvc's own. `CASES` are what a target, a tool or a race can do to whoever reserves disks. A test is named by its file and its
name; `model` stands for all scenarios of the model checker, and ``model: NAME`` for one of its mutants.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.model.mutants import MUTANTS

TESTS = Path(__file__).parents[3]

DEFECTS = {
    "OpenSVC 1d330a188: the check comes after the registration, when both nodes can write": [
        "known_defects: test_the_check_comes_before_the_registration",
        "model: checks after it has registered",
    ],
    "OpenSVC 2c97f2946: over-corrected, so that one's own disks need force": [
        "known_defects: test_what_is_ours_needs_no_force",
        "model: takes its own keys of an earlier run for another's",
    ],
    "OpenSVC f530bb88c: stop leaves registrations where nothing is reserved": [
        "known_defects: test_a_stop_leaves_no_registration_where_nothing_is_reserved",
    ],
    "OpenSVC 8fb4b4a5c: stop leaves all paths but one registered": [
        "known_defects: test_a_stop_leaves_every_path",
        "model: is content once one path has left",
    ],
    "OpenSVC f9b91dee3: registrations are counted over several disks": [
        "known_defects: test_registrations_are_counted_for_each_disk",
    ],
    "OpenSVC 43f8a2659: reservations are up after a crash and a boot": [
        "known_defects: test_after_a_crash_nothing_of_ours_is_left_when_the_node_has_booted",
    ],
    "OpenSVC 38eaab35d: mpathpersist silently registers some of the paths": [
        "known_defects: test_a_path_that_silently_was_not_registered_is_noticed",
        "mpathpersist: test_paths_that_mpathpersist_leaves_out_without_a_word_are_registered_all_the_same",
    ],
    "OpenSVC 2.1: CLEAR on stop, whoever else is registered": [
        "known_defects: test_a_stop_never_clears",
        "model: clears on stop",
    ],
    "OpenSVC 2.1: a key is found in the text of a longer one": [
        "known_defects: test_a_key_that_begins_with_another_is_another",
        "model: compares keys as text",
    ],
    "om3 62c29552f, 477998980, bfa3e2a25: leading zeros, 0x and case of keys": [
        "keys: test_leading_zeros_and_case_make_no_difference",
        "keys: test_what_tools_would_take_for_another_key_is_none",
    ],
    "om3 2ea10ae48: a start by hand fences the living node": [
        "known_defects: test_a_start_does_not_fence_a_living_node",
        "model: takes the disk from whoever holds it",
    ],
    "om3: a release stops at the first path that says done": [
        "known_defects: test_a_stop_through_the_path_that_does_not_hold_releases_all_the_same",
        "model: believes exit codes",
    ],
    "fence_scsi 668f8696, fence-agents#4: on, if any device is": [
        "known_defects: test_one_disk_of_ours_does_not_make_the_set_ours",
        "model: keeps half of the disks",
    ],
    "fence_scsi d532e41a: two nodes take at once": [
        "acquire: test_whoever_wins_takes_all_and_the_other_one_nothing",
        "model: every disk for itself",
        "model",
    ],
    "fence_scsi 27623c56, e5c6c2e1: the watchdog notices, and its reboot fails": [
        "watch: test_keys_that_are_lost_under_what_may_write_are_an_alarm",
    ],
    "fence_scsi cb57f1c2, fence-agents#594: a preemption for each path leaves a key": [
        "known_defects: test_an_eviction_removes_every_path_of_the_victim",
    ],
    "fence_scsi da312d15, 062cd33f: a monitor that fails when it cannot ask": [
        "known_defects: test_what_cannot_be_read_is_not_lost",
    ],
    "fence_scsi, fence_mpath: well, as long as one of several devices has the key": [
        "known_defects: test_one_disk_that_was_lost_is_lost",
    ],
    "fence_scsi da047800, 522fef7a, fc6384d3; OpenSVC f94cec039: a unit attention is a failure": [
        "known_defects: test_an_attention_on_any_single_request_changes_nothing",
    ],
    "fence-agents#576: a moment without a key under a running guest": [
        "known_defects: test_a_moment_without_a_key_never_comes_under_a_running_guest",
    ],
    "opensvc#30: a path that comes later is not registered, and the guest gets errors": [
        "known_defects: test_a_path_that_comes_back_is_told_and_then_registered",
    ],
    "heartbeat/sg_persist: stop ignores errors, and says that it succeeded": [
        "known_defects: test_a_stop_that_failed_is_no_success",
    ],
    "heartbeat/sg_persist, fence_scsi: preempts the holder only": [
        "known_defects: test_not_only_the_holder_is_evicted",
        "model: preempts only the holder",
    ],
    "heartbeat/sg_persist: preempts without abort": ["model: preempts without abort"],
    "multipath-tools 8d5f4a5e: a node releases what another one holds": [
        "known_defects: test_a_stop_does_not_release_what_another_node_holds",
    ],
    "multipath-tools before 0.13: release, unregister and key change fail, once the holding path is down": [
        "release: test_a_path_that_died_with_its_registration_is_preempted_through_another",
        "known_defects: test_a_key_is_changed_although_a_path_that_had_it_is_down",
    ],
    "multipath-tools before 0.13: reserving conflicts with itself, once the holding path is down": [
        "known_defects: test_a_disk_stays_ours_when_the_path_that_holds_it_is_down",
        "mpathpersist: test_takes_another_path_where_the_first_is_dead_or_not_registered",
    ],
    "multipath-tools before 0.13: preempting one's own key leaves the other paths without one": [
        "acquire: test_nexuses_of_ours_that_died_are_removed",
        "acquire: test_our_own_reservation_of_another_type_becomes_ours_with_all_paths",
    ],
    "multipath-tools before 0.13: a removal that one path conflicts with is rolled back on the others": [
        "mpathpersist: test_a_path_that_was_not_registered_does_not_bring_the_others_back",
    ],
    "multipath-tools before 0.13: a path that comes up meanwhile is a conflict": [
        "known_defects: test_a_path_that_comes_up_in_the_middle_of_an_attempt_harms_nothing",
    ],
    "multipath-tools 672fa81d: taking over from all registrants removes one's own other paths": [
        "acquire: test_where_all_registrants_hold_it_each_must_be_named_and_goes_by_its_own_key",
    ],
    "opensvc/multipath-tools#92: preempt-abort fails, where the key stands in the section of the map": [
        "mpathpersist: test_takes_one_path_and_never_mpathpersist_which_may_refuse_or_conflict_with_itself",
    ],
    "opensvc/multipath-tools#71: a target stalls at two registrations at once": [
        "acquire: test_a_disk_that_stumbles_over_two_requests_gets_one_at_a_time",
        "sg_persist: test_a_disk_that_stumbles_over_two_changes_gets_one_at_a_time",
    ],
    "fence-agents#631: multipathd registers the same paths at the same time": [
        "known_defects: test_registrations_that_multipathd_makes_beside_us_change_nothing",
        "mpathpersist: test_registers_each_path_and_tells_multipathd_the_key",
    ],
    "fence-agents#517, 9d0d0d01, 34baef58: our key is registered, by a connection that is no more": [
        "acquire: test_a_path_without_a_registration_is_found_where_the_count_is_right",
        "acquire: test_nexuses_of_ours_that_died_are_removed",
    ],
    "OpenSVC c1b57195a: a preemption or a release through a path that is not registered": [
        "acquire: test_the_acting_path_is_one_that_is_registered",
        "mpathpersist: test_takes_another_path_where_the_first_is_dead_or_not_registered",
    ],
    "OpenSVC 4ce97fc27: a read-only replica whose reservation cannot be dropped": [
        "judge: test_a_read_only_replica_that_was_never_reserved_is_not_applicable_whoever_holds_it",
        "acquire: test_a_read_only_disk_is_left_alone_and_another_one_decides",
        "release: test_a_disk_that_became_read_only_with_our_key_is_not_called_released",
    ],
    "OpenSVC 967a5bba6: an array that registers initiators is never complete": [
        "acquire: test_an_array_that_counts_initiators_has_as_many_registrations_as_hosts",
    ],
    "OpenSVC 413682bd7: aborting on a target that cannot, and not where it can": [
        "sg_persist: test_a_preemption_without_abort_is_never_made_on_a_guess",
        "acquire: test_an_array_that_cannot_abort_is_told_with_the_eviction",
    ],
    "vmsvc, while it was made: a registration repeated over the attention that told of a preemption": [
        "acquire: test_a_guest_does_not_get_back_what_was_taken_over_while_it_was_started_again",
        "model: a registration is repeated over the attention that tells of a preemption",
    ],
    "vmsvc, while it was made: disks given back to a guest that went on without them, where a look had failed": [
        "acquire: test_under_a_guest_that_runs_a_disk_without_our_keys_is_refused_before_anything_is_written",
        "acquire: test_keys_that_are_lost_between_two_looks_are_not_given_back_to_a_guest_that_runs",
        "model: gives disks back to a guest that went on without them",
    ],
    "vmsvc, while it was made: a command that outlives its attempt": [
        "sequences: test_no_command_begins_or_goes_on_after_its_attempt",
    ],
    "vmsvc, while it was made: a node that was copied with its key evicts the other by a stop": [
        "clones: test_leaves_what_none_of_its_paths_has_where_it_may_be_another_nodes",
    ],
}

CASES = {
    "1. The transport dies between open and answer": [
        "parse: test_a_dead_transport_is_never_taken_for_success_though_1_46_exits_with_0",
        "sg_persist: test_what_was_never_sent_is_never_done",
        "lab sg_persist: test_a_dead_transport_is_no_disk_without_keys",
    ],
    "2. Devices that are offline or deleted; one path of two, or all; a path that comes back": [
        "acquire: test_a_disk_is_taken_through_the_paths_that_live_and_the_dead_ones_are_told",
        "acquire: test_a_disk_that_no_path_can_read_leaves_all_of_them_alone",
        "known_defects: test_a_path_that_comes_back_is_told_and_then_registered",
        "lab sg_persist: test_devices_that_cannot_be_asked",
        "model",
    ],
    "3. A unit attention on each request of a sequence": [
        "known_defects: test_an_attention_on_any_single_request_changes_nothing",
        "acquire: test_an_attention_that_never_ends_ends_the_attempt",
        "lab attempts: test_attentions_on_every_path_are_no_obstacle",
    ],
    "4. An error, and it was carried out": [
        "acquire: test_a_registration_that_is_answered_with_an_error_and_carried_out_is_seen",
        "acquire: test_any_one_answer_may_lie",
    ],
    "5. Done, and nothing was done": [
        "acquire: test_done_without_effect_is_no_success",
        "sg_persist: test_an_unknown_option_is_never_done",
        "lab sg_persist: test_a_release_through_another_path_is_done_and_releases_nothing",
        "model: believes exit codes",
    ],
    "6. Registered already: with our key, an old one, one of an earlier boot; key 0": [
        "acquire: test_what_we_hold_already_is_registered_again_and_nothing_else",
        "release: test_a_path_that_bears_another_key_keeps_it",
        "seen: test_an_operation_without_a_key_of_64_bits_cannot_be_made_since_tools_would_take_it_for_another",
    ],
    "7. A crash between any two requests": ["release: test_a_killed_run_is_finished_by_the_next_one", "model"],
    "8. The k-th of n disks cannot be had": [
        "known_defects: test_one_disk_that_cannot_be_taken_leaves_none_half_taken",
        "lab attempts: test_a_disk_that_cannot_be_had_keeps_all_of_a_set_free",
    ],
    "9. Two take from the same holder at once": [
        "acquire: test_two_takers_preempt_one_victim_and_one_of_them_gets_it",
        "model",
    ],
    "10. A node that was fenced comes back": [
        "known_defects: test_a_node_that_was_fenced_does_not_take_its_disks_back",
        "watch: test_keys_that_are_lost_under_what_may_write_are_an_alarm",
    ],
    "11. The victim has one key on several paths, or one for each path": [
        "known_defects: test_an_eviction_removes_every_path_of_the_victim",
        "known_defects: test_a_victim_with_a_key_for_each_path_is_evicted_with_all_of_them",
    ],
    "12. Keys: of nobody, of other software, equal to ours, all ones, zeros in front, upper case": [
        "keys: test_leading_zeros_and_case_make_no_difference",
        "laws: test_keys_that_begin_alike_are_different_keys",
        "laws: test_the_largest_key_is_a_key",
        "judge: test_more_registrations_than_paths_are_told_and_change_nothing",
        "acquire: test_a_foreign_registration_alone_refuses",
        "lab sg_persist: test_keys_are_numbers_and_none_is_taken_for_another",
    ],
    "13. A reservation of another type; key 0 where all registrants hold it": [
        "acquire: test_a_holder_of_another_type_is_preempted_into_ours",
        "acquire: test_where_all_registrants_hold_it_each_must_be_named_and_goes_by_its_own_key",
        "parse: test_where_all_registrants_hold_it_nobody_is_the_holder_and_both_requests_say_so",
        "model: is content with a reservation of another type",
    ],
    "14. Keys without a reservation; ours after a reboot, and no guest": [
        "judge: test_keys_without_a_reservation_exclude_nobody",
        "known_defects: test_after_a_crash_nothing_of_ours_is_left_when_the_node_has_booted",
        "acquire: test_nexuses_of_ours_that_died_are_removed",
        "acquire: test_nexuses_that_died_do_not_pass_for_paths_that_could_not_be_registered",
        "model: takes connections that died for its paths",
    ],
    "15. The target restarts, and has forgotten all keys": [
        "known_defects: test_a_target_that_forgot_everything_is_noticed_and_taken_again",
        "lab attempts: test_a_target_that_forgot_its_keys_is_taken_again",
    ],
    "16. Live migration: the holder's leaving would free the disk for a moment": [
        "migration: test_the_switch_never_leaves_a_disk_without_a_reservation",
        "migration: test_nobody_joins_a_reservation_of_another_type",
        "model",
    ],
    "17. A map, a partition, a volume; two names of one disk": [
        "devices: test_a_map_and_each_of_its_paths_are_the_same_disk",
        "devices: test_what_is_only_a_part_of_a_disk_is_not_taken_for_the_disk",
        "devices: test_two_names_of_one_disk_are_one_disk_under_the_first",
    ],
    "18. Two disks with one World Wide ID, or without one": [
        "devices: test_two_logical_units_with_one_id_are_nobodys_disk",
        "devices: test_a_disk_without_an_id_is_unknown_since_its_other_paths_are",
    ],
    "19. Read-only; a size of 0 under somebody's exclusive access": [
        "acquire: test_a_read_only_disk_is_left_alone_and_another_one_decides",
        "capacity: test_only_disks_that_are_taken_for_empty_are_asked_again",
        "lab finding_disks: test_a_disk_taken_for_empty_under_somebodys_exclusive_access_gets_its_capacity_back",
    ],
    "20. A buffered writer that is fenced hears of it from fsync only": [
        "lab scsi_faults: test_only_registrants_write_and_the_witness_sees_who",
    ],
    "21. More registrations than fit; odd texts": [
        "parse: test_a_list_cut_off_by_its_buffer_is_not_read_as_a_list_with_a_key_0",
        "parse: test_more_keys_than_the_tool_reads_are_no_list_of_keys",
        "parse: test_lines_of_an_inquiry_are_passed_over",
        "lab sg_persist: test_a_hundred_registrants_are_all_read",
    ],
    "22. A tool that is missing, killed, or hangs in the kernel": [
        "sg_persist: test_a_tool_that_is_not_installed_is_named_with_its_package",
        "sg_persist: test_a_call_that_hangs_in_the_kernel_is_silence",
        "parse: test_a_tool_that_was_killed_has_not_answered",
    ],
    "23. sg_persist 1.46 and 1.48, and mpathpersist instead": [
        "parse: test_both_versions_tell_the_full_status_alike",
        "parse: test_both_versions_tell_keys_and_reservation_alike",
        "parse: test_the_output_of_another_request_or_tool_is_not_taken_for_an_answer",
    ],
    "24. Permission denied; a device that is no SCSI device": [
        "parse: test_exit_codes_are_answers",
        "lab sg_persist: test_what_is_no_scsi_device_is_known_as_such",
    ],
}


def _file(name: str) -> Path:
    if name.startswith("lab "):
        return TESTS / "lab/scsi/inside" / f"test_{name.removeprefix('lab ')}.py"
    return TESTS / ("unit/core/disks/test_watch.py" if name == "watch" else f"unit/core/vmdg/test_{name}.py")


def _is_there(test: str) -> bool:
    where, _, name = test.partition(": ")
    if where == "model":
        return not name or name in {mutant.name for mutant in MUTANTS}
    tree = ast.parse(_file(where).read_text("utf-8"))
    return name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("what", [*DEFECTS, *CASES])
def test_it_is_prevented_by_tests_that_exist(what):
    tests = {**DEFECTS, **CASES}[what]
    assert tests
    assert [test for test in tests if not _is_there(test)] == []


def test_no_case_is_left_out():
    assert [int(case.partition(".")[0]) for case in CASES] == list(range(1, 25))
