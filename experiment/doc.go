// Package experiment runs the persona-leakage study and keeps its results.
//
// A [Plan] says what to run (read it with [ReadPlan]); a [Taxonomy] and [Questions]
// are the prompts. [NewStudy] checks that the three fit together. [Run] then does the
// whole study in one directory: it asks a [Model] for the completions, counts the
// marker in them, measures how near each persona is to its source inside the base
// model, and writes the artefacts. Run on the same directory again goes on where the
// last one stopped, after a kill -9 too, and ends with the same bytes.
//
// [LoadResults] reads a run directory back; [Compile], [AnalyseCosines] and
// [Summarise] are the pure functions behind compiled_analysis.json,
// cosine_analysis.json and the table that ends a run. [CheckPersonas] looks for
// mistakes in a taxonomy.
//
// # Words
//
// A source is a persona that one LoRA adapter was trained to mark; a bystander is a
// persona that was not, but may have caught the marker; an anchor is a source's
// prompt asked of every adapter. A shard is what one adapter and one sampling seed
// give. A rate is always a count of completions with the marker out of all, and the
// counts are kept.
//
// # The run directory
//
//	manifest.json                 everything that determines the bytes; never changes
//	taxonomy.json, questions.json the two input files, byte for byte
//	centroids.safetensors         centred persona centroids of the base model
//	<shard>/completions.jsonl.zst while the shard runs
//	<shard>/raw_completions.json  {persona: {question: [text]}}
//	<shard>/marker_eval.json      {persona: {rate, found, total, category, source, prompt}}
//	<shard>/summary.json          written last: its presence says that the shard is finished
//	compiled_analysis.json        rates of all shards
//	cosine_analysis.json          cosines against rates, with rank correlations
//	progress.json                 counters of the run, replaced every few seconds
//	.lock                         held by the process that works here
//
// A shard's folder is <source>_seed<seed>, or <source>_t<k>_seed<seed> where a
// source has more than one adapter, k counting them from 1.
package experiment
