export { createClient } from "./client.js";
export type {
  Answer, BatchAnswer, Client, Context, FeedbackEvent, NewEvent, Options, UserToken,
} from "./types.js";
