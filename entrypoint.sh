#!/bin/sh
# `module.function` is a Lambda handler; anything else is a command of onnx-lambda, such as `serve`.
# AWS_EXECUTION_ENV is left alone: naming a managed runtime there would make awslambdaric start a thread for each
# invocation, so that Python's SIGTERM handlers run while it waits, and nothing here relies on those.
set -eu
case "${1:-}" in
*.*)
	if [ -n "${AWS_LAMBDA_RUNTIME_API:-}" ]; then
		exec python3 -m awslambdaric "$1"
	fi
	# outside Lambda, under AWS's emulator if it is mounted: https://github.com/aws/aws-lambda-runtime-interface-emulator
	for emulator in /usr/local/bin/aws-lambda-rie /aws-lambda/aws-lambda-rie; do
		if [ -x "$emulator" ]; then
			exec "$emulator" /entrypoint.sh "$1"
		fi
	done
	echo "This is a Lambda function's image, and there is no Lambda here." >&2
	echo "Serve HTTP on port 8080:                     docker run -p 8080:8080 IMAGE serve" >&2
	echo "Answer Lambda events with AWS's emulator:    docker run -p 9000:8080 -v PATH/aws-lambda-rie:/usr/local/bin/aws-lambda-rie IMAGE" >&2
	exit 64
	;;
*)
	# SageMaker runs `serve` and unpacks the model's archive here, where nothing is otherwise:
	# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
	archive=/opt/ml/model
	if [ "${1:-}" = serve ] && [ "${MODEL_DIR:-}" = /var/task/models ] && [ -d $archive ] &&
		{ [ ! -r $archive ] || [ -n "$(ls -A $archive)" ]; }; then
		export MODEL_DIR=$archive
		if [ -f $archive/model.onnx ]; then
			# an archive of one model's files alone: version 1 of a model named "model"
			MODEL_DIR=$(mktemp -d)
			mkdir "$MODEL_DIR/model"
			ln -s $archive "$MODEL_DIR/model/1"
			[ ! -f $archive/model.toml ] || ln -s $archive/model.toml "$MODEL_DIR/model/model.toml"
		fi
	fi
	exec python3 -m app "$@"
	;;
esac
