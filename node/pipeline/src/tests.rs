use std::collections::BTreeMap;
use std::sync::Arc;

use common::id::TenantId;
use common::units::Timestamp;
use ingest::record::{Origin, TelemetryRecord};
use proptest::prelude::*;

use crate::samples::{names, pipeline, stage};
use crate::{Clean, Pipeline, Stage, Window, clean, window};

/// All that a record says, to the bit.
type Bits = (TenantId, String, Vec<(String, String)>, u64, Vec<String>, Vec<u32>);

fn bits(records: &[TelemetryRecord]) -> Vec<Bits> {
    let one = |record: &TelemetryRecord| {
        let origin = &record.origin;
        let labels =
            origin.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let metrics = record.metrics.iter().map(ToString::to_string).collect();
        let values = record.values.iter().map(|value| value.to_bits()).collect();
        (origin.tenant, origin.source.to_string(), labels, record.at.0, metrics, values)
    };
    records.iter().map(one).collect()
}

fn value() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => -20.0_f32..120.0,
        2 => Just(f32::NAN),
        1 => prop::sample::select(vec![f32::INFINITY, f32::NEG_INFINITY, -0.0, 1.0, f32::MAX, f32::MIN_POSITIVE]),
        1 => any::<f32>(),
    ]
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0..400_u64, 1 => any::<u64>().prop_map(|at| at / 1_000_000)]
}

/// Records of two tenants and three sources, in any order; some have values too many or too few.
fn records() -> impl Strategy<Value = Vec<TelemetryRecord>> {
    let sets = vec![&["x_ms", "y"][..], &["y", "x_ms"], &["x_ms"], &["cpu_percent", "x_ms", "y"], &[]];
    let sets: Vec<_> = sets.into_iter().map(names).collect();
    let record = (
        0_u8..2,
        0_usize..3,
        0_usize..3,
        prop::sample::select(sets),
        time(),
        prop::collection::vec(value(), 4),
        0..40,
    );
    let record = record.prop_map(|(tenant, source, label, metrics, at, mut values, ragged)| {
        values.truncate(if ragged == 0 { 4 } else { metrics.len() });
        let mut origin = Origin {
            tenant: TenantId([tenant; 16]),
            source: ["a", "b", "c"][source].into(),
            labels: BTreeMap::new(),
        };
        if label > 0 {
            origin.labels.insert("rack".into(), ["r1", "r2"][label - 1].into());
        }
        TelemetryRecord { origin: Arc::new(origin), at: Timestamp::from_millis(at * 1000), metrics, values }
    });
    prop::collection::vec(record, 0..60).prop_map(sharing)
}

/// Equal origins are one, as real sources share theirs.
fn sharing(mut records: Vec<TelemetryRecord>) -> Vec<TelemetryRecord> {
    let mut origins: BTreeMap<Origin, Arc<Origin>> = BTreeMap::new();
    for record in &mut records {
        let shared = origins.entry((*record.origin).clone()).or_insert_with(|| Arc::clone(&record.origin));
        record.origin = Arc::clone(shared);
    }
    records
}

/// Stages that leave out or change records one by one, and make none.
fn leaving() -> impl Strategy<Value = Stage> {
    let fault = prop::sample::select(vec!["missing", "reject"]);
    let validate = (fault, -10..10, 10..90).prop_map(|(fault, min, max)| {
        format!("kind = 'validate'\non_fault = '{fault}'\nrequired = ['x*']\nrule = [{{ metrics = ['*'], min = {min}, max = {max} }}, {{ metrics = ['cpu*'], unit = 'percent' }}]")
    });
    let keep = prop::sample::select(vec!["first", "last"]);
    let deduplicate = keep.prop_map(|keep| format!("kind = 'deduplicate'\nkeep = '{keep}'"));
    let action = prop::sample::select(vec!["keep", "drop"]);
    let conditions = prop::sample::select(vec![
        "sources = ['a', 'b*']",
        "labels = { rack = 'r1' }",
        "metrics = ['x*']",
        "metrics = ['y']\nsources = ['c']",
        "from = '1970-01-01T00:01:00Z'\nuntil = '1970-01-01T00:04:00Z'",
    ]);
    let filter =
        (action, conditions).prop_map(|(action, of)| format!("kind = 'filter'\naction = '{action}'\n{of}"));
    let prioritise = (1..40).prop_map(|budget| {
        format!("kind = 'prioritise'\nbudget = {budget}\ncritical = [{{ metrics = ['x*'], above = 60 }}, {{ labels = {{ rack = 'r2' }} }}]")
    });
    let enrich = Just("kind = 'enrich'\nrule = [{ sources = ['?'], labels = { rack = 'r9' } }]".to_owned());
    let convert = (1..2000).prop_map(|factor| {
        format!("kind = 'convert'\nrule = [{{ metrics = ['*'], factor = {factor}, unit = {{ from = 'ms', to = 's' }} }}, {{ metrics = ['y'], offset = 1.5 }}]")
    });
    prop_oneof![validate, deduplicate, filter, prioritise, enrich, convert].prop_map(|text| stage(&text))
}

fn any_stage() -> impl Strategy<Value = Stage> {
    let how = prop::sample::select(vec!["mean", "last", "max", "min", "sum"]);
    let resample = (1..100, how).prop_map(|(every, how)| {
        format!("kind = 'resample'\nevery_s = {every}\nhow = '{how}'\nrule = [{{ metrics = ['y'], how = 'last' }}]")
    });
    let how = prop::sample::select(vec!["hold", "linear"]);
    let fill = (1..100, how, 1..6).prop_map(|(every, how, rows)| {
        format!("kind = 'fill'\nevery_s = {every}\nhow = '{how}'\nrows_max = {rows}")
    });
    prop_oneof![3 => leaving(), 1 => resample.prop_map(|text| stage(&text)), 1 => fill.prop_map(|text| stage(&text))]
}

/// The same records as if they had been read again: nothing is shared with the first ones.
fn read_again(records: &[TelemetryRecord]) -> Vec<TelemetryRecord> {
    let again = |record: &TelemetryRecord| TelemetryRecord {
        origin: Arc::new((*record.origin).clone()),
        metrics: record.metrics.iter().cloned().collect(),
        ..record.clone()
    };
    records.iter().map(again).collect()
}

fn only(records: &[TelemetryRecord], keeps: impl Fn(&Origin) -> bool) -> Vec<TelemetryRecord> {
    records.iter().filter(|record| keeps(&record.origin)).cloned().collect()
}

proptest! {
    #[test]
    fn the_same_records_and_parameters_give_the_same_bytes(
        records in records(),
        stages in prop::collection::vec(any_stage(), 1..6),
    ) {
        let list = Pipeline::try_from(stages).unwrap();
        let mut told = Vec::new();
        let out = list.run_with(records.clone(), |step| told.push(step.to_string()));
        let mut told_again = Vec::new();
        let again = list.run_with(read_again(&records), |step| told_again.push(step.to_string()));
        prop_assert_eq!(bits(&out), bits(&again));
        prop_assert_eq!(told, told_again);
        prop_assert!(out.iter().all(|record| record.values.len() == record.metrics.len()));
    }

    #[test]
    fn the_records_of_a_tenant_are_what_they_would_be_without_the_others(
        records in records(),
        stages in prop::collection::vec(any_stage(), 1..6),
    ) {
        let list = Pipeline::try_from(stages).unwrap();
        let together = list.run(records.clone());
        for tenant in [0, 1] {
            let of_tenant = |origin: &Origin| origin.tenant == TenantId([tenant; 16]);
            let alone = list.run(only(&records, of_tenant));
            prop_assert!(alone.iter().all(|record| of_tenant(&record.origin)));
            prop_assert_eq!(bits(&only(&together, of_tenant)), bits(&alone));
        }
    }

    #[test]
    fn the_records_of_a_source_are_what_they_would_be_without_the_others(
        records in records(),
        stage in any_stage(),
    ) {
        // A budget is for all sources of a tenant together.
        if matches!(stage, Stage::Prioritise(_)) {
            return Ok(());
        }
        let together = stage.apply(records.clone()).records;
        for source in ["a", "b", "c"] {
            for tenant in [0, 1] {
                let of_source = |origin: &Origin| origin.tenant == TenantId([tenant; 16]) && &*origin.source == source;
                let alone = stage.apply(only(&records, of_source)).records;
                prop_assert!(alone.iter().all(|record| of_source(&record.origin)));
                prop_assert_eq!(bits(&only(&together, of_source)), bits(&alone));
            }
        }
    }

    #[test]
    fn the_order_in_which_sources_come_in_makes_no_difference(records in records(), stage in any_stage()) {
        let by_source = |mut records: Vec<TelemetryRecord>| {
            records.sort_by(|one, other| (one.origin.tenant, one.source()).cmp(&(other.origin.tenant, other.source())));
            records
        };
        let mixed = stage.apply(records.clone());
        let sorted = stage.apply(by_source(records));
        prop_assert_eq!(bits(&by_source(mixed.records)), bits(&by_source(sorted.records)));
        prop_assert_eq!(
            (mixed.records_left_out, mixed.values_left_out, mixed.gaps_left_open),
            (sorted.records_left_out, sorted.values_left_out, sorted.gaps_left_open)
        );
    }

    #[test]
    fn what_goes_in_goes_on_or_is_counted(records in records(), stage in leaving()) {
        let applied = stage.apply(records.clone());
        prop_assert_eq!(applied.records.len() as u64 + applied.records_left_out, records.len() as u64);
        let told = applied.records_left_out + applied.values_left_out;
        prop_assert_eq!(applied.left_out.len() as u64, told.min(20));
        let tenants = |records: &[TelemetryRecord]| records.iter().map(|record| record.origin.tenant).collect::<Vec<_>>();
        if matches!(stage, Stage::Enrich(_) | Stage::Convert(_)) && applied.records_left_out == 0 {
            prop_assert_eq!(tenants(&applied.records), tenants(&records));
        }
    }

    #[test]
    fn what_was_done_once_is_not_done_again(records in records(), stage in any_stage()) {
        // A value is converted each time, and what was filled is held on from there.
        if matches!(stage, Stage::Convert(_) | Stage::Fill(_)) {
            return Ok(());
        }
        let once = stage.apply(records);
        let twice = stage.apply(once.records.clone());
        prop_assert_eq!(bits(&once.records), bits(&twice.records));
        prop_assert_eq!((twice.records_left_out, twice.values_left_out), (0, 0));
    }

    #[test]
    fn filled_records_are_bounded_by_measured_ones(
        records in records(),
        every in 1..20,
        rows in 1..1440,
    ) {
        let stage = stage(&format!("kind = 'fill'\nevery_s = {every}\nrows_max = {rows}"));
        let measured = records.len();
        prop_assert!(stage.apply(records).records.len() <= measured * 17);
    }

    #[test]
    fn no_window_sees_two_tenants_or_two_sources(
        records in records(),
        every in 1..60,
        rows in 1..6,
        past_steps in 1_u32..4,
    ) {
        let list = pipeline(&format!(
            "[[stage]]\nkind = 'filter'\naction = 'keep'\nmetrics = ['x_ms']\n\
             [[stage]]\nkind = 'resample'\nevery_s = {every}\n\
             [[stage]]\nkind = 'fill'\nevery_s = {every}\nrows_max = {rows}"
        ));
        let records = list.run(records);
        let table = clean(&records, &names(&["x_ms"]), &Clean::default()).unwrap().table;
        let windows = window(table, &Window { past_steps, stride: 1, gap_steps: 3 });
        for index in 0..windows.count() {
            let target = windows.target(index);
            let origin = |row: usize| &records[windows.table().rows[row].record].origin;
            for row in target - past_steps as usize..target {
                prop_assert_eq!(origin(row).tenant, origin(target).tenant);
                prop_assert_eq!(&origin(row).source, &origin(target).source);
            }
        }
    }
}
