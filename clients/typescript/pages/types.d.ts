// What the scripts of the service's pages name in their JSDoc, beside what they define themselves.
import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];

declare global {
  /** What the API answers. */
  namespace Api {
    type Activity = Schemas["Timeseries"];
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
    /** What weeks and rankings both count. */
    type Counted = Pick<Week, keyof Week & keyof Schemas["RankingShape"]>;

    /** What `harken train` says of a model; of others, anything may be missing. */
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
    /** What is answered to GET, by the path. The page has the report, or that there is none. */
    interface Answers extends Omit<Gotten, "/api/models"> {
      "/api/models": Models;
      "/dashboard/report": Report | null;
    }
  }

  /** What Chart.js hands to callbacks, as far as the drawings look at it. */
  interface ChartItem {
    dataIndex: number;
    datasetIndex: number;
    raw: number;
    dataset: { label: string };
  }
}
