package llama

// #include "shim.h"
import "C"

import (
	"context"
	"log/slog"
	"strings"
)

// ggml's log levels (enum ggml_log_level).
const (
	levelDebug = 1
	levelInfo  = 2
	levelWarn  = 3
	levelError = 4
	levelCont  = 5
)

// goLlamaLog receives llama.cpp's log. Its information is our debugging: a run
// prints pages of it. Errors are also kept for the next opError, because
// llama.cpp returns none.
//
//export goLlamaLog
func goLlamaLog(level C.int, text *C.char) {
	line := strings.TrimRight(C.GoString(text), "\n")
	if strings.TrimLeft(line, ". ") == "" || level == levelCont {
		return
	}
	if level == levelError {
		recentErrors.add(line)
	}
	// Errors are returned to the caller, who decides; the log has them at warning level.
	to := slog.LevelDebug
	if level == levelError {
		to = slog.LevelInfo
	}
	slog.Default().Log(context.Background(), to, line, "from", "llama.cpp")
}
