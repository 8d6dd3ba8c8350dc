// Numbers for measurements: with zeros the chip draws less power and multiplies faster
// than it ever will in use.

#pragma once

// noise turns a number into one from -1 to 1.
__device__ inline float noise(unsigned x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return (float)x * (2.0f / 4294967296.0f) - 1.0f;
}
