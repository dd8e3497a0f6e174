from tests.walks.imports_world import World, person


def test_a_confirmed_new_person_is_created_and_activated_with_both_moves_in_the_history(world: World) -> None:
    hr = world.app("HR")
    run = world.send(hr, [person("E1", department="Sales")])
    assert (run.status, world.situations(run)) == ("COMPLETED", {"UNMATCHED": 1})
    user = world.user_of(hr, "E1")
    assert (user.status, user.login, user.profile["department"]) == ("ACTIVE", "e1@example.com", "Sales")
    assert world.kinds(user.id) == ["user.create", "user.activate"]
