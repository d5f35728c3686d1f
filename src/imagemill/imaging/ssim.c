/* Structural similarity (Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment, IEEE TIP 13(4), 2004).
 *
 * Means and moments in a sliding Gaussian window, first down, then across, one row of output at a time, so that memory
 * is five rows and not five images.
 */
#include <math.h>
#include <stdlib.h>

#include "requant.h"

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(REQUANT_ONE_BUILD)
#define MANY_BUILDS __attribute__((target_clones("avx2,fma", "default")))
#else
#define MANY_BUILDS
#endif

#define WINDOW 11
#define SIGMA 1.5
#define C1 (0.01F * 255 * 0.01F * 255)
#define C2 (0.03F * 255 * 0.03F * 255)
#define MOMENTS 5 /* a, b, aa, bb, ab */

typedef struct {
    float weight[WINDOW];
    int size;
} window;

static window window_for(int side) {
    window made = {{0}, side < WINDOW ? side : WINDOW};
    double sum = 0, weight[WINDOW];
    for (int at = 0; at < made.size; at++) {
        const double from_middle = at - (made.size - 1) / 2.0;
        weight[at] = exp(-from_middle * from_middle / (2 * SIGMA * SIGMA));
        sum += weight[at];
    }
    for (int at = 0; at < made.size; at++) made.weight[at] = (float)(weight[at] / sum);
    return made;
}

MANY_BUILDS static void add_row(const uint8_t *one, const uint8_t *other, float weight, float *sums, int width) {
    float *a = sums, *b = a + width, *aa = b + width, *bb = aa + width, *ab = bb + width;
    for (int x = 0; x < width; x++) {
        const float left = one[x], right = other[x], left_weighed = left * weight, right_weighed = right * weight;
        a[x] += left_weighed;
        b[x] += right_weighed;
        aa[x] += left * left_weighed;
        bb[x] += right * right_weighed;
        ab[x] += left * right_weighed;
    }
}

MANY_BUILDS static void blur(const float *in, float *out, const window *by, int width) {
    for (int x = 0; x < width; x++) out[x] = in[x] * by->weight[0];
    for (int at = 1; at < by->size; at++)
        for (int x = 0; x < width; x++) out[x] += in[x + at] * by->weight[at];
}

MANY_BUILDS static float row_sum(const float *moments, int stride, int width) {
    const float *a = moments, *b = a + stride, *aa = b + stride, *bb = aa + stride, *ab = bb + stride;
    float sum = 0;
    for (int x = 0; x < width; x++) {
        const float square = a[x] * a[x] + b[x] * b[x], product = a[x] * b[x];
        sum += (2 * product + C1) * (2 * (ab[x] - product) + C2) / ((square + C1) * (aa[x] + bb[x] - square + C2));
    }
    return sum;
}

double requant_ssim(const uint8_t *one, const uint8_t *other, int width, int height) {
    const window across = window_for(width), down = window_for(height);
    const int wide = width - across.size + 1, high = height - down.size + 1;
    float *sums = malloc(sizeof(float) * 2 * MOMENTS * (size_t)width), *moments = sums + MOMENTS * (size_t)width;
    double total = 0;
    if (!sums) return -2;
    for (int y = 0; y < high; y++) {
        for (size_t at = 0; at < MOMENTS * (size_t)width; at++) sums[at] = 0;
        for (int at = 0; at < down.size; at++) {
            const size_t row = (size_t)(y + at) * (size_t)width;
            add_row(one + row, other + row, down.weight[at], sums, width);
        }
        for (size_t at = 0; at < MOMENTS; at++)
            blur(sums + at * (size_t)width, moments + at * (size_t)width, &across, wide);
        total += (double)row_sum(moments, width, wide);
    }
    free(sums);
    return total / ((double)wide * high);
}
