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
    type KBlock = Schemas["KBlockShape"];
    type Leader = Schemas["LeaderShape"];
    type Leaders = Schemas["LeadersShape"];
    type Measured = Schemas["MeasuredShape"];
    type Point = Schemas["Point"];
    type Report = Schemas["ReportShape"];
    type Rollback = Schemas["RollbackShape"];
    type Week = Schemas["WeekShape"];
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
