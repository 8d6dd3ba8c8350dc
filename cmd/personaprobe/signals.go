package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

type drainKey struct{}

// withSignals makes the first SIGINT or SIGTERM ask for an orderly end, through
// the channel that drained returns, and the second cancel the context.
func withSignals(parent context.Context, stderr io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	drain := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			close(drain)
		case <-done:
			return
		}
		select {
		case <-signals:
			fmt.Fprintln(stderr, "personaprobe: stopping at once")
			cancel()
		case <-done:
		}
	}()
	return context.WithValue(ctx, drainKey{}, (<-chan struct{})(drain)), func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

// drained is closed at the first signal.
func drained(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(drainKey{}).(<-chan struct{})
	return c
}

// cancelOnDrain is for verbs that have nothing to finish: the first signal ends
// them.
func cancelOnDrain(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-drained(ctx):
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
