/* Integer kernels; images are channels last. Sums are int32, rescaled once in 64 bits. */

static edgenas_value edgenas_bounded(int64_t value, int32_t least, int32_t greatest) {
    if (value < least) return (edgenas_value)least;
    if (value > greatest) return (edgenas_value)greatest;
    return (edgenas_value)value;
}

static int64_t edgenas_rescaled(int64_t value, int32_t multiplier, int shift) {
    const int64_t product = value * multiplier + ((int64_t)1 << (shift - 1));
    /* rounds down where it is negative, which >> leaves to the compiler */
    return product >= 0 ? product >> shift : -((-product + (((int64_t)1 << shift) - 1)) >> shift);
}

typedef struct {
    int height, width, channels;             /* of what is read */
    int out_height, out_width, out_channels; /* of what is written */
    int kernel, stride, top, left;           /* zeros before the first row and column */
    int32_t zero_in, zero_out, least, greatest;
    const int8_t *weight; /* conv: [out][row][column][in]; depthwise: [row][column][channel] */
    const int32_t *bias, *multiplier;
    const uint8_t *shift;
} edgenas_layer;

/* == conv == */

static void edgenas_conv(const edgenas_layer *l, const edgenas_value *in, edgenas_value *out) {
    for (int y = 0; y < l->out_height; ++y)
        for (int x = 0; x < l->out_width; ++x)
            for (int o = 0; o < l->out_channels; ++o) {
                int32_t sum = l->bias[o];
                const int8_t *weight = l->weight + (size_t)o * l->kernel * l->kernel * l->channels;
                for (int ky = 0; ky < l->kernel; ++ky) {
                    const int row = y * l->stride + ky - l->top;
                    if (row < 0 || row >= l->height) continue;
                    for (int kx = 0; kx < l->kernel; ++kx) {
                        const int column = x * l->stride + kx - l->left;
                        if (column < 0 || column >= l->width) continue;
                        const edgenas_value *pixel =
                            in + ((size_t)row * l->width + column) * l->channels;
                        const int8_t *w = weight + (size_t)(ky * l->kernel + kx) * l->channels;
                        for (int c = 0; c < l->channels; ++c)
                            sum += (pixel[c] - l->zero_in) * w[c];
                    }
                }
                *out++ = edgenas_bounded(
                    edgenas_rescaled(sum, l->multiplier[o], l->shift[o]) + l->zero_out,
                    l->least, l->greatest);
            }
}

/* == depthwise == */

static void edgenas_depthwise(const edgenas_layer *l, const edgenas_value *in,
                              edgenas_value *out) {
    for (int y = 0; y < l->out_height; ++y)
        for (int x = 0; x < l->out_width; ++x)
            for (int c = 0; c < l->channels; ++c) {
                int32_t sum = l->bias[c];
                for (int ky = 0; ky < l->kernel; ++ky) {
                    const int row = y * l->stride + ky - l->top;
                    if (row < 0 || row >= l->height) continue;
                    for (int kx = 0; kx < l->kernel; ++kx) {
                        const int column = x * l->stride + kx - l->left;
                        if (column < 0 || column >= l->width) continue;
                        const size_t pixel = (size_t)row * l->width + column;
                        sum += (in[pixel * l->channels + c] - l->zero_in) *
                               l->weight[(size_t)(ky * l->kernel + kx) * l->channels + c];
                    }
                }
                *out++ = edgenas_bounded(
                    edgenas_rescaled(sum, l->multiplier[c], l->shift[c]) + l->zero_out,
                    l->least, l->greatest);
            }
}

/* == add == */

/* an input of one pixel is the same for all pixels */
static void edgenas_add(const edgenas_value *a, const edgenas_value *b, edgenas_value *out,
                        int pixels, int channels, int pixels_a, int pixels_b, int32_t zero_a,
                        int32_t zero_b, int32_t multiplier_a, int32_t multiplier_b, int shift,
                        int32_t zero_out, int32_t least, int32_t greatest) {
    for (int p = 0; p < pixels; ++p)
        for (int c = 0; c < channels; ++c) {
            const int64_t x = a[(pixels_a == 1 ? 0 : (size_t)p * channels) + c] - zero_a;
            const int64_t y = b[(pixels_b == 1 ? 0 : (size_t)p * channels) + c] - zero_b;
            const int64_t sum = x * multiplier_a + y * multiplier_b + ((int64_t)1 << (shift - 1));
            const int64_t steps =
                sum >= 0 ? sum >> shift : -((-sum + (((int64_t)1 << shift) - 1)) >> shift);
            *out++ = edgenas_bounded(steps + zero_out, least, greatest);
        }
}

/* == mul == */

static void edgenas_mul(const edgenas_value *a, const edgenas_value *b, edgenas_value *out,
                        int pixels, int channels, int pixels_a, int pixels_b, int32_t zero_a,
                        int32_t zero_b, int32_t multiplier, int shift, int32_t zero_out,
                        int32_t least, int32_t greatest) {
    for (int p = 0; p < pixels; ++p)
        for (int c = 0; c < channels; ++c) {
            const int64_t x = a[(pixels_a == 1 ? 0 : (size_t)p * channels) + c] - zero_a;
            const int64_t y = b[(pixels_b == 1 ? 0 : (size_t)p * channels) + c] - zero_b;
            *out++ = edgenas_bounded(edgenas_rescaled(x * y, multiplier, shift) + zero_out, least,
                                     greatest);
        }
}

/* == pool == */

static void edgenas_pool(const edgenas_value *in, edgenas_value *out, int pixels, int channels,
                         int32_t zero_in, int32_t multiplier, int shift, int32_t zero_out,
                         int32_t least, int32_t greatest) {
    for (int c = 0; c < channels; ++c) {
        int32_t sum = 0;
        for (int p = 0; p < pixels; ++p) sum += in[(size_t)p * channels + c] - zero_in;
        out[c] = edgenas_bounded(edgenas_rescaled(sum, multiplier, shift) + zero_out, least,
                                 greatest);
    }
}
