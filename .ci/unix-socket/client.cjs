// Calls IssueToken at an address, with the audience `orders` and no credential.
//
//     node client.cjs ADDRESS
//
// Run it in the folder with the .proto files. Prints the token, or the code of the error.
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const definition = loader.loadSync("tokend/v1/token_service.proto", { includeDirs: ["."] });
const { TokenService } = grpc.loadPackageDefinition(definition).tokend.v1;
const service = new TokenService(process.argv[2], grpc.credentials.createInsecure());
service.IssueToken({ audiences: ["orders"] }, { deadline: Date.now() + 30_000 }, (error, response) => {
  console.log(error ? grpc.status[error.code] : response.accessToken);
  process.exitCode = error ? 1 : 0;
  service.close();
});
