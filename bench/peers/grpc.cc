// gRPC C++ with an echo of 64 bytes, plain or over its TLS.
//
//     peer_grpc serve PORT plain|FOLDER
//     peer_grpc call PORT plain|FOLDER IN-FLIGHT SECONDS
//
// FOLDER holds cert.pem and key.pem. One channel. Server and client are the asynchronous ones on completion
// queues with one thread each, but for one call in flight, which is the blocking stub. On two cores with many
// in flight the server of callbacks answered two thirds as many calls and the blocking one half; with one in
// flight all are alike.
#include <grpcpp/grpcpp.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "bench/echo.grpc.pb.h"
#include "bench/measure.h"

using muster::bench::Echo;
using muster::bench::EchoMessage;

namespace
{

constexpr int kServeCalls = 128;

std::string Read(const std::string &path)
{
        std::ifstream file(path);
        std::stringstream text;

        text << file.rdbuf();
        if (text.str().empty()) {
                std::fprintf(stderr, "peer_grpc: cannot read %s\n", path.c_str());
                std::exit(1);
        }
        return text.str();
}

// One call that the server can take; starts over when it is answered.
class ServeCall
{
      public:
        ServeCall(Echo::AsyncService *service, grpc::ServerCompletionQueue *queue)
            : service_(service), queue_(queue)
        {
                Wait();
        }

        void Proceed(bool ok)
        {
                if (ok && !answering_) {
                        answering_ = true;
                        writer_->Finish(request_, grpc::Status::OK, this);
                        return;
                }
                Wait();
        }

      private:
        void Wait()
        {
                answering_ = false;
                request_.Clear();
                context_ = std::make_unique<grpc::ServerContext>();
                writer_ = std::make_unique<grpc::ServerAsyncResponseWriter<EchoMessage>>(context_.get());
                service_->RequestEcho(context_.get(), &request_, writer_.get(), queue_, queue_, this);
        }

        Echo::AsyncService *service_;
        grpc::ServerCompletionQueue *queue_;
        std::unique_ptr<grpc::ServerContext> context_;
        std::unique_ptr<grpc::ServerAsyncResponseWriter<EchoMessage>> writer_;
        EchoMessage request_;
        bool answering_ = false;
};

int Serve(const std::string &address, const char *folder)
{
        std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
        grpc::ServerBuilder builder;
        Echo::AsyncService service;
        std::vector<std::unique_ptr<ServeCall>> calls;
        void *tag;
        bool ok;

        if (folder) {
                grpc::SslServerCredentialsOptions options;

                options.pem_key_cert_pairs.push_back(
                        {Read(std::string(folder) + "/key.pem"), Read(std::string(folder) + "/cert.pem")});
                credentials = grpc::SslServerCredentials(options);
        }
        builder.AddListeningPort(address, credentials);
        builder.RegisterService(&service);
        std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
        std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
        if (!server) {
                std::fprintf(stderr, "peer_grpc: cannot listen on %s\n", address.c_str());
                return 1;
        }
        for (int i = 0; i < kServeCalls; i++)
                calls.push_back(std::make_unique<ServeCall>(&service, queue.get()));
        std::printf("ready\n");
        std::fflush(stdout);
        while (queue->Next(&tag, &ok))
                static_cast<ServeCall *>(tag)->Proceed(ok);
        return 0;
}

void Check(const grpc::Status &status, const EchoMessage &reply)
{
        if (!status.ok() || reply.payload().size() != MEASURE_PAYLOAD) {
                std::fprintf(stderr, "peer_grpc: call: %s\n", status.error_message().c_str());
                std::exit(1);
        }
}

void CallOne(Echo::Stub *stub, struct measure *measure, const EchoMessage &request)
{
        uint64_t began;
        EchoMessage reply;

        do {
                grpc::ClientContext context;

                began = measure_now();
                Check(stub->Echo(&context, request, &reply), reply);
        } while (measure_call(measure, began));
}

struct Flight {
        uint64_t began;
        std::unique_ptr<grpc::ClientContext> context;
        std::unique_ptr<grpc::ClientAsyncResponseReader<EchoMessage>> reader;
        EchoMessage reply;
        grpc::Status status;
};

void Start(Flight *flight, Echo::Stub *stub, const EchoMessage &request, grpc::CompletionQueue *queue)
{
        flight->began = measure_now();
        flight->context = std::make_unique<grpc::ClientContext>();
        flight->reader = stub->AsyncEcho(flight->context.get(), request, queue);
        flight->reader->Finish(&flight->reply, &flight->status, flight);
}

void CallMany(Echo::Stub *stub, struct measure *measure, const EchoMessage &request, unsigned count)
{
        grpc::CompletionQueue queue;
        std::vector<Flight> flights(count);
        unsigned running = count;
        bool more = true, ok;
        void *tag;

        for (Flight &flight : flights)
                Start(&flight, stub, request, &queue);
        while (running > 0 && queue.Next(&tag, &ok)) {
                Flight *flight = static_cast<Flight *>(tag);

                Check(flight->status, flight->reply);
                if (more)
                        more = measure_call(measure, flight->began);
                if (more)
                        Start(flight, stub, request, &queue);
                else
                        running--;
        }
}

int Call(const std::string &address, const char *folder, unsigned flight, double seconds)
{
        std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
        grpc::ChannelArguments arguments;
        struct measure measure;
        EchoMessage request;

        if (folder) {
                grpc::SslCredentialsOptions options;

                options.pem_root_certs = Read(std::string(folder) + "/cert.pem");
                credentials = grpc::SslCredentials(options);
                arguments.SetSslTargetNameOverride("localhost");
        }
        std::unique_ptr<Echo::Stub> stub =
                Echo::NewStub(grpc::CreateCustomChannel(address, credentials, arguments));
        request.set_payload(std::string(MEASURE_PAYLOAD, 'x'));
        measure_start(&measure, seconds);
        if (flight == 1)
                CallOne(stub.get(), &measure, request);
        else
                CallMany(stub.get(), &measure, request, flight);
        return measure_print(&measure);
}

} // namespace

int main(int argc, char **argv)
{
        if (argc < 4) {
                std::fprintf(stderr, "usage: peer_grpc serve PORT plain|FOLDER | call PORT plain|FOLDER "
                                     "IN-FLIGHT SECONDS\n");
                return 2;
        }
        const std::string address = std::string("127.0.0.1:") + argv[2];
        const char *folder = std::strcmp(argv[3], "plain") == 0 ? nullptr : argv[3];

        if (argc == 6 && std::strcmp(argv[1], "call") == 0)
                return Call(address, folder, static_cast<unsigned>(std::atoi(argv[4])), std::atof(argv[5]));
        return Serve(address, folder);
}
