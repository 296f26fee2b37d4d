// Types that the scripts of the pages use in their JSDoc.
import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];

declare global {
  /** Answers of the API. */
  namespace Api {
    type Act = Schemas["ActShape"];
    type Activity = Schemas["Timeseries"];
    type Alert = Schemas["AlertShape"];
    type Aside = Schemas["QuarantineShape"];
    type Bucket = Schemas["BucketShape"];
    type Dwell = Schemas["Dwell"];
    type Experiment = Schemas["ExperimentShape"];
    type Arm = Experiment["arms"][number];
    type Allocation = Schemas["AllocationShape"];
    type KBlock = Schemas["KBlockShape"];
    type Leader = Schemas["LeaderShape"];
    type Leaders = Schemas["LeadersShape"];
    type Measured = Schemas["MeasuredShape"];
    type Point = Schemas["Point"];
    type Report = Schemas["ReportShape"];
    type Totals = Schemas["TotalsShape"];
    type Impressions = Schemas["ImpressionsShape"];
    type ImpressionGroup = Schemas["ImpressionGroupShape"];
    type KBlockFigures = Schemas["KBlockFiguresShape"];
    type ReaderFigures = Schemas["ReaderFiguresShape"];
    type Rollback = Schemas["RollbackShape"];
    type TrialStep = Schemas["TrialStepShape"];
    type Week = Schemas["WeekShape"];
    /** Intervals have null where a bound is not known. */
    type Bounds = [number | null, number | null];
    interface Look {
      at: number;
      readers: number;
      effect: number;
      sequence: Bounds;
    }
    interface Comparison {
      arm: string;
      control: string;
      metric: string;
      higher_is_better: boolean;
      role: string;
      readers: number;
      control_value: number | null;
      value: number | null;
      effect: number | null;
      relative: number | null;
      always_valid_p: number | null;
      sequence: Bounds;
      fixed_interval: Bounds;
      looks: Look[];
    }
    interface SampleRatio {
      fired: boolean;
      p_value: number;
      at_reader: number | null;
      counts: number[];
      expected: number[];
    }
    type Outcome = "better" | "worse" | "no_difference" | "not_yet" | "guardrail" | "no_verdict";
    interface Results {
      readers: {
        exposed: number;
        closed: number;
        open: number;
        quarantined: number;
        personalisation_off: number;
        without_acts?: number;
      };
      allocations: Allocation[];
      arms: { name: string; exposed: number; compared: number; planned_share: number }[];
      sample_ratio: SampleRatio | null;
      quarantine: SampleRatio | null;
      verdicts: Record<string, { outcome: Outcome; text: string; days: number | null }>;
      comparisons: Comparison[];
      guardrails: {
        arm: string;
        metric: string;
        margin: number;
        state: "within" | "breached" | "open";
        worse: number;
        at_least: number | null;
        at_most: number | null;
      }[];
      with_quarantined: Comparison[];
      personalisation_off: Comparison[];
    }
    type Power = Schemas["PowerShape"];
    /** The counts that weeks and rankings have in common. */
    type Counted = Pick<Week, keyof Week & keyof Schemas["RankingShape"]>;

    /** A model of `harken train`; other models may lack any of these fields. */
    interface Model extends Omit<Schemas["ModelShape"], "data" | "metrics"> {
      data: {
        from?: string;
        until?: string;
        measured_until?: string;
        impressions?: number;
        events?: number;
      };
      metrics: {
        rankings?: { candidate?: Figures };
        verdict?: { is_better: boolean; than: string; reason: string };
      };
    }
    interface Models extends Omit<Schemas["ModelsShape"], "models"> {
      models: Model[];
    }
    type Metric = "ndcg@10" | "mrr" | "hr@5" | "hr@10";
    type Figures = { [M in Metric]?: number } & { ci?: { [M in Metric]?: [number, number] } };

    type Gotten = {
      [P in keyof paths]: paths[P] extends {
        get: { responses: { 200: { content: { "application/json": infer Answer } } } };
      } ? Answer : never;
    };
    /** The answers to GET by path. The dashboard's report is null if there is none. */
    interface Answers extends Omit<Gotten, "/api/models"> {
      "/api/models": Models;
      "/dashboard/report": Report | null;
    }
  }

  /** The arguments of Chart.js callbacks, as far as the charts use them. */
  interface ChartItem {
    dataIndex: number;
    datasetIndex: number;
    raw: number;
    dataset: { label: string };
  }
}
