// Package llama is personaprobe's binding to llama.cpp. It is thin: one C call per
// unit of work, buffers owned by the caller, every failure a typed error, and no
// policy. Programs that want completions use package engine instead.
//
// Only this folder has import "C": beside llama.cpp, package cudalib loads our CUDA
// kernels at run time, package native binds our own decode path among them, and
// package plugins carries both inside a release build.
//
// Open a model with [OpenModel], make a [Context] from it, fill a [Batch] and
// call [Context.Decode]; then read [Context.Logits], or the rows that the
// batch's tap copied out of the graph.
//
// llama.cpp and ggml come as Go packages of the module
// github.com/ollama/ollama; nothing else of that module is used. Built without
// cgo the package compiles and every call fails with [ErrNoCgo].
//
// A Model and its Vocab may be used from several goroutines. A Context
// serialises its own calls. Close is idempotent, and a call after Close returns
// [ErrClosed].
package llama

// Revision is the llama.cpp commit inside the pinned module.
const Revision = "ec98e2002"
