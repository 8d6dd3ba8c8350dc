//go:build cgo

package llama

// #include <features.h>
// #ifdef __GLIBC__
// #include <gnu/libc-version.h>
// static const char *libc_version(void) { return gnu_get_libc_version(); }
// #else
// static const char *libc_version(void) { return ""; }
// #endif
import "C"

// LibC is the running C library, such as "glibc 2.41": its exp, sin and cos are part of
// what the CPU computes. "" where it is another library.
func LibC() string {
	if v := C.GoString(C.libc_version()); v != "" {
		return "glibc " + v
	}
	return ""
}
