"""Which records an account has, and finding them by id."""

from hypothesis import given
from hypothesis import strategies as st

from sandbox.fake_hubspot.records.ids import IdSeries
from sandbox.fake_hubspot.records.record_counts import SERIES, RecordSet

series = st.builds(IdSeries, first=st.integers(1, 10**10), stride=st.integers(1, 5_000), seed=st.integers(0, 2**32 - 1))


@given(series=series, index=st.integers(0, 10**7))
def test_ids_ascend(series: IdSeries, index: int) -> None:
    assert series.at(index) < series.at(index + 1)


@given(series=series, record_id=st.integers(0, 10**11))
def test_the_index_after_an_id_is_the_first_whose_id_is_greater(series: IdSeries, record_id: int) -> None:
    index = series.index_after(record_id)

    assert series.at(index) > record_id
    assert index == 0 or series.at(index - 1) <= record_id


@given(series=series, index=st.integers(0, 10**7))
def test_an_id_leads_back_to_its_index(series: IdSeries, index: int) -> None:
    assert series.index_of(series.at(index)) == index


def test_ids_have_gaps_and_the_magnitudes_of_a_real_portal() -> None:
    first = {type_: RecordSet(type_, count=1000, seed=99).ids() for type_ in SERIES}

    assert all(ids[-1] - ids[0] > len(ids) * 10 for ids in first.values())
    assert first["contacts"][0] >= 501
    assert all(9 <= len(str(ids)) <= 10 for ids in (*first["companies"], *first["deals"]))
    assert first["engagements"][0] > 2**31


def test_accounts_with_different_seeds_share_few_ids() -> None:
    one, other = (set(RecordSet("contacts", count=1000, seed=seed).ids()) for seed in (1, 2))

    assert len(one & other) < 100


def test_a_deleted_record_is_gone_and_deleting_it_again_changes_nothing() -> None:
    record_set = RecordSet("deals", count=10, seed=1)
    third = record_set.ids()[2]

    assert record_set.delete([third]) == [third]
    assert record_set.delete([third, 12345]) == []
    assert len(record_set) == 9
    assert third not in record_set.ids()
    assert record_set.index_of(third) is None


def test_added_records_come_last_and_change_no_other_record() -> None:
    record_set = RecordSet("deals", count=10, seed=1)
    before = [(record_set.facts(index), record_set.linked_id(index)) for index in record_set]
    ids = record_set.ids()

    added = record_set.add(3)

    assert record_set.ids() == ids + added
    assert [(record_set.facts(index), record_set.linked_id(index)) for index in record_set][:10] == before


def test_an_empty_record_set_has_nothing_to_link_to() -> None:
    record_set = RecordSet("companies", count=0, seed=1)

    assert record_set.ids() == []
    assert record_set.linked_id(5) is None


def test_a_touched_record_is_modified_at_that_time_and_keeps_its_id() -> None:
    record_set = RecordSet("contacts", count=3, seed=1)
    first = record_set.ids()[0]

    record_set.touch([first], at_ms=1_900_000_000_000)

    assert record_set.facts(0).modified_ms == 1_900_000_000_000
    assert record_set.ids()[0] == first


def test_a_number_of_linked_records_begins_with_the_one_and_has_no_record_twice() -> None:
    record_set = RecordSet("deals", count=10, seed=1)

    for index in range(30):
        ids = record_set.linked_ids(index, 4)
        assert ids == sorted(set(ids))
        assert len(ids) == 4
        assert record_set.linked_id(index) in ids
        assert record_set.linked_ids(index, 40) == record_set.ids()


def test_linked_records_may_be_of_some_contents_only() -> None:
    record_set = RecordSet("engagements", count=100, seed=1)

    ids = record_set.linked_ids(3, 20, lambda variant: variant % 2 == 0)

    variants = [record_set.facts(index).variant for record_id in ids if (index := record_set.index_of(record_id))]
    assert len(ids) == 20
    assert {variant % 2 for variant in variants} == {0}


def test_a_deleted_record_is_in_the_bin_until_it_is_restored() -> None:
    record_set = RecordSet("deals", count=10, seed=1)
    ids = record_set.ids()
    record_set.delete(ids[3:6], at_ms=1000)
    record_set.delete(ids[1:2], at_ms=2000)

    assert record_set.archived() == [1, 3, 4, 5]
    assert record_set.archived(since_ms=1001) == [1]
    assert record_set.archived(after=ids[3]) == [4, 5]
    assert (record_set.archived_at_ms(1), record_set.archived_at_ms(3)) == (2000, 1000)

    assert record_set.restore([ids[1], ids[2], 7], at_ms=3000) == [ids[1]]

    assert record_set.archived() == [3, 4, 5]
    assert record_set.ids() == [*ids[:3], *ids[6:]]
    assert record_set.facts(1).modified_ms == 3000


def test_records_of_custom_objects_differ_by_their_names() -> None:
    assert RecordSet("cars", count=10, seed=1).ids() != RecordSet("boats", count=10, seed=1).ids()
