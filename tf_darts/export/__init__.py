"""A trained network as files that need no tf_darts: Keras, SavedModel, TFLite."""

# The file, or the folder, of each format; `formats.WRITERS` writes them. Without TensorFlow.
FILES = {
    "keras": "model.keras",
    "saved_model": "saved_model",
    "tflite": "model.tflite",
    "tflite_int8": "model_int8.tflite",
}
