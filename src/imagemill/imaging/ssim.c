/* Structural similarity (Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment, IEEE TIP 13(4), 2004).
 *
 * Means and moments in a sliding Gaussian window, first down, then across, one row of output at a time: memory is eight
 * rows, not four images. A row of output needs its eleven rows of input and none of another's sums, so rows may be left
 * out: every 7th gives the mean of all within 0.001 (184 photographs) in a 7th of the time. An even step gives less than
 * it seems to: JPEG's blocks are 8 high, and every 8th row is the same line of each (off by 0.006).
 */
#include <math.h>
#include <stdlib.h>

#include "requant.h"

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(REQUANT_ONE_BUILD)
#define MANY_BUILDS __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define MANY_BUILDS
#endif

#define WINDOW 11
#define SIGMA 1.5
#define C1 (0.01F * 255 * 0.01F * 255)
#define C2 (0.03F * 255 * 0.03F * 255)
#define MOMENTS 4 /* a, b, aa + bb, ab */
#define LANES 8
#define MIDDLE 128 /* samples are counted from here: their squares are smaller, and floats hold them better */

typedef struct {
    float weight[WINDOW]; /* zero from `size` on: an image may be smaller than the window */
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

/* `sums` are MOMENTS rows, `stride` apart. */
MANY_BUILDS static void sum_down(const uint8_t *const one[WINDOW], const uint8_t *const other[WINDOW],
                                 const float weight[WINDOW], float *restrict sums, int stride, int width) {
    float *restrict a = sums, *restrict b = a + stride, *restrict squares = b + stride, *restrict ab = squares + stride;
    for (int x = 0; x < width; x++) {
        float sum_a = 0, sum_b = 0, sum_squares = 0, sum_ab = 0;
#pragma GCC unroll 11
        for (int at = 0; at < WINDOW; at++) {
            const float left = one[at][x] - MIDDLE, right = other[at][x] - MIDDLE;
            const float left_weighed = left * weight[at], right_weighed = right * weight[at];
            sum_a += left_weighed;
            sum_b += right_weighed;
            sum_squares += left * left_weighed + right * right_weighed;
            sum_ab += left * right_weighed;
        }
        a[x] = sum_a;
        b[x] = sum_b;
        squares[x] = sum_squares;
        ab[x] = sum_ab;
    }
}

MANY_BUILDS static void sum_across(const float *restrict in, float *restrict out, const float weight[WINDOW],
                                   int width) {
    for (int x = 0; x < width; x++) {
        float sum = 0;
#pragma GCC unroll 11
        for (int at = 0; at < WINDOW; at++) sum += in[x + at] * weight[at];
        out[x] = sum;
    }
}

/* Sums in LANES parts, because C forbids the compiler to reorder one; `moments` are zero behind their width. */
MANY_BUILDS static float row_sum(const float *restrict moments, int stride, int width) {
    const float *a = moments, *b = a + stride, *squares = b + stride, *ab = squares + stride;
    float sum[LANES] = {0}, total = 0;
    for (int x = 0; x < width; x += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            const float left = a[x + lane], right = b[x + lane];
            const float square = left * left + right * right, product = left * right;
            const float whole_left = left + MIDDLE, whole_right = right + MIDDLE;
            const float likeness = (2 * whole_left * whole_right + C1) * (2 * (ab[x + lane] - product) + C2);
            const float means = whole_left * whole_left + whole_right * whole_right + C1;
            sum[lane] += likeness / (means * (squares[x + lane] - square + C2));
        }
    for (int lane = 0; lane < LANES; lane++) total += sum[lane];
    return total - (float)((width + LANES - 1) / LANES * LANES - width); /* nothing is like nothing: 1 for each */
}

double requant_ssim(const uint8_t *one, const uint8_t *other, int width, int height, int step) {
    const window across = window_for(width), down = window_for(height);
    const int wide = width - across.size + 1, high = height - down.size + 1, stride = width + WINDOW;
    float *sums = calloc(2 * MOMENTS * (size_t)stride, sizeof(float)), *moments = sums + MOMENTS * (size_t)stride;
    double total = 0;
    int rows = 0;
    if (!sums) return -2;
    for (int y = (high - 1) % step / 2; y < high; y += step, rows++) {
        const uint8_t *left[WINDOW], *right[WINDOW];
        for (int at = 0; at < WINDOW; at++) {
            const size_t row = (size_t)(at < down.size ? y + at : y) * (size_t)width;
            left[at] = one + row;
            right[at] = other + row;
        }
        sum_down(left, right, down.weight, sums, stride, width);
        for (int at = 0; at < MOMENTS; at++)
            sum_across(sums + (ptrdiff_t)at * stride, moments + (ptrdiff_t)at * stride, across.weight, wide);
        total += (double)row_sum(moments, stride, wide);
    }
    free(sums);
    return total / ((double)wide * rows);
}
