// classify MODEL.onnx LABELS.txt IMAGE.ppm: an example for ONNX Runtime's own C++ API.
//
// IMAGE is a binary PPM (P6) or PGM (P5), 8 bits, of the size that the network takes; input.h, which
// edgenas wrote for this model, has that size, the mean and the deviation. classify.py also makes
// images of other sizes fit, in the way that was verified: this example leaves that to you.
//
//   c++ -std=c++17 -O2 -I onnxruntime/include -o classify classify.cpp -L onnxruntime/lib -lonnxruntime

#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <onnxruntime_cxx_api.h>

#include "input.h"

namespace {

// The input of one image, channels first: (pixel / 255 - mean) / deviation, in this order.
std::vector<float> read_input(const char *path) {
    constexpr std::size_t area = static_cast<std::size_t>(EDGENAS_HEIGHT) * EDGENAS_WIDTH;
    constexpr float mean[] = EDGENAS_MEAN, deviation[] = EDGENAS_STD;
    std::ifstream file(path, std::ios::binary);
    std::string kind;
    int width = 0, height = 0, most = 0;
    file >> kind >> width >> height >> most;
    file.get();
    std::vector<std::uint8_t> pixels(area * EDGENAS_CHANNELS);
    file.read(reinterpret_cast<char *>(pixels.data()), static_cast<std::streamsize>(pixels.size()));
    if (!file || kind != (EDGENAS_CHANNELS == 3 ? "P6" : "P5") || width != EDGENAS_WIDTH ||
        height != EDGENAS_HEIGHT || most != 255) {
        throw std::runtime_error(std::string(path) + " is no image of the network's own size");
    }
    std::vector<float> values(pixels.size());
    for (std::size_t at = 0; at < area; ++at) {
        for (std::size_t channel = 0; channel < EDGENAS_CHANNELS; ++channel) {
            const float share = static_cast<float>(pixels[at * EDGENAS_CHANNELS + channel]) / 255.0f;
            values[channel * area + at] = (share - mean[channel]) / deviation[channel];
        }
    }
    return values;
}

std::vector<std::string> read_labels(const char *path) {
    std::ifstream file(path);
    std::vector<std::string> labels;
    for (std::string line; std::getline(file, line);) labels.push_back(line);
    return labels;
}

int classify(const char *model, const char *labels_path, const char *image) {
    std::vector<float> values = read_input(image);
    const std::vector<std::string> labels = read_labels(labels_path);
    Ort::Env env(ORT_LOGGING_LEVEL_WARNING, "classify");
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(EDGENAS_THREADS);
    Ort::Session session(env, model, options);
    Ort::AllocatorWithDefaultOptions allocator;
    const auto input = session.GetInputNameAllocated(0, allocator);
    const auto output = session.GetOutputNameAllocated(0, allocator);
    const std::array<const char *, 1> inputs{input.get()}, outputs{output.get()};
    const std::array<std::int64_t, 4> shape{1, EDGENAS_CHANNELS, EDGENAS_HEIGHT, EDGENAS_WIDTH};
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const Ort::Value tensor = Ort::Value::CreateTensor<float>(memory, values.data(), values.size(),
                                                              shape.data(), shape.size());
    const std::vector<Ort::Value> results =
        session.Run(Ort::RunOptions{nullptr}, inputs.data(), &tensor, 1, outputs.data(), 1);
    const std::size_t count = results.front().GetTensorTypeAndShapeInfo().GetElementCount();
    const float *logits = results.front().GetTensorData<float>();
    const auto best = static_cast<std::size_t>(std::max_element(logits, logits + count) - logits);
    std::cout << (best < labels.size() ? labels[best] : std::to_string(best)) << ", logit "
              << logits[best] << '\n';
    return 0;
}

}  // namespace

int main(int count, char **arguments) {
    if (count != 4) {
        std::cerr << "usage: classify MODEL.onnx LABELS.txt IMAGE.ppm\n";
        return 2;
    }
    try {
        return classify(arguments[1], arguments[2], arguments[3]);
    } catch (const std::exception &problem) {
        std::cerr << problem.what() << '\n';
        return 1;
    }
}
