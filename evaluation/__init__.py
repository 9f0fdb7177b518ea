"""Prediction rows, result files, metrics, statistics, reports. Knows neither models nor inputs."""
