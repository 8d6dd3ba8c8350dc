// Package cudalib loads libpersonaprobe-cuda.so, our CUDA kernels, at run time, so
// that one binary serves hosts with and without a GPU.
//
// [FindDir] says where the plugins lie, [OpenKernels] loads the library,
// [Kernels.Sample] samples rows of logits on the device. Code with kernels of its own
// in the same library takes them by name with [Kernels.Symbol].
package cudalib
